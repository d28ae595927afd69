import Foundation
import WidebandCheckedInput
import WidebandTokenization

/// A conversation with a model in its chat template, which keeps its key/value cache from answer to answer.
///
///     let chat = try ChatSession(model, system: "You answer briefly.")
///     for try await case .text(let piece) in chat.stream("What is light?") { print(piece, terminator: "") }
///
/// The common prefix of a new question's prompt and the tokens so far is not computed again; with direct decoding its
/// tokens keep the phases with which they were decoded. Several threads may use a session: its answers are computed one
/// after the other. An answer must not ask the same session another question while it is being written.
public final class ChatSession: @unchecked Sendable {
  /// The model.
  public let model: LoadedModel
  /// Whether the model may think before it answers.
  public let prompt: ThinkingMode

  private let system: String?
  private let options: GenerationOptions
  private let turnEnd: TokenID
  /// Used by the answer that is being computed, and by no other thread.
  private let iterator: any TokenIterator
  /// Guards the properties below. No callback is called while it is locked.
  private let condition = NSCondition()
  private var isAnswering = false
  private var turns: [Message] = []

  /// A conversation without any question yet.
  ///
  /// - Parameters:
  ///   - system: the system message before the first question.
  ///   - prompt: the thinking mode of every answer.
  ///   - options: how answers are generated; nil for the model's own sampling options and up to 1024 tokens.
  /// - Throws: `GenerationError` for options that are invalid or do not suit the model, `TokenizationError` for a
  ///   tokenizer without the tokens of a conversation.
  public init(
    _ model: LoadedModel, system: String? = nil, prompt: ThinkingMode = .thinking, options: GenerationOptions? = nil
  ) throws {
    self.model = model
    self.prompt = prompt
    self.system = system
    var defaults = GenerationOptions()
    defaults.maximumTokens = 1024
    if options == nil { defaults.sampling = try model.sampling }
    self.options = options ?? defaults
    try self.options.validate()
    turnEnd = try model.tokenizer.endOfTurn
    iterator = try TokenGeneration(model: model.model, options: self.options, allowedTokens: model.allowedTokens)
      .makeIterator()
    reset()
  }

  /// All messages, the system message first. A question is among them once it has an answer, complete or interrupted.
  public var messages: [Message] { condition.withLock { turns } }

  /// Removes all questions and answers. An answer that is being written joins the conversation when it ends.
  public func reset() { condition.withLock { turns = system.map { [Message(.system, $0)] } ?? [] } }

  /// Answers a question, calling `onText` with each piece as it comes.
  ///
  /// - Throws: as the form with a check.
  @discardableResult
  public func answer(_ question: String, onText: (String) throws -> Void = { _ in }) throws -> GenerationResult {
    try answer(question, check: {}, onText: onText)
  }

  /// Answers a question that may be interrupted, calling `onText` with each piece as it comes.
  ///
  /// The text of an interrupted answer stays in the conversation; a question without any text of an answer does not.
  ///
  /// - Parameter check: called before every pass; an error that it throws ends the answer.
  /// - Throws: `GenerationError` for an empty question and for a conversation as long as the model's
  ///   context; what `check` and `onText` throw.
  @discardableResult
  public func answer(
    _ question: String, check: () throws -> Void, onText: (String) throws -> Void
  ) throws -> GenerationResult {
    guard !question.isEmpty else { throw GenerationError.emptyInput("the question is empty: expected text") }
    return try takingTurn {
      var conversation = try Conversation(messages + [Message(.user, question)])
      let tokens = try model.tokenizer.encode(conversation, prompt: prompt).tokens
      var text = ""
      defer {
        if !text.isEmpty {
          conversation.append(Message(.assistant, text))
          condition.withLock { turns = conversation.messages }
        }
      }
      return try model.generate(
        tokens, options: options, with: iterator, endingAt: [turnEnd], check: check
      ) { piece in
        text += piece
        try onText(piece)
      }
    }
  }

  /// Answers a question as a sequence of events, which ends after `finished`.
  ///
  /// It is computed like the streams of `LoadedModel`, and leaving the loop or cancelling its task ends it likewise.
  public func stream(_ question: String) -> AsyncThrowingStream<GenerationEvent, any Error> {
    ComputeThread.shared.stream { check, onText in
      try self.answer(question, check: check, onText: onText)
    }
  }

  /// Runs `body` while no other answer is computed.
  private func takingTurn<Result>(_ body: () throws -> Result) rethrows -> Result {
    condition.withLock {
      while isAnswering { condition.wait() }
      isAnswering = true
    }
    defer {
      condition.withLock {
        isAnswering = false
        condition.signal()
      }
    }
    return try body()
  }
}
