import Foundation
import Tokenization

/// A conversation with a model in Qwen3's form, which keeps its keys and values from answer to answer.
///
///     let chat = try ChatSession(model, system: "You answer briefly.")
///     for try await case .text(let piece) in chat.stream("What is light?") { print(piece, terminator: "") }
///
/// What a new question has in common with the text so far is not computed again; of a text that is decoded directly it
/// keeps the phases it was written with. Several threads may use a session; its
/// answers are computed one after the other.
public final class ChatSession: @unchecked Sendable {
  /// The model.
  public let model: LoadedModel
  /// Whether the model may think before it answers.
  public let prompt: AnswerPrompt

  private let system: String?
  private let options: GenerationOptions
  private let session: any GrowingText
  private let turnEnd: Int
  /// Held while an answer is computed: guards the session.
  private let turn = NSLock()
  private let lock = NSLock()
  private var turns: [Message] = []

  /// A conversation without any question yet.
  ///
  /// - Parameters:
  ///   - system: what the model is told before the first question.
  ///   - prompt: what every answer begins with.
  ///   - options: how answers are written; nil for the model's own way, up to 1024 tokens.
  /// - Throws: `GenerationError` for options that mean nothing or that this model cannot follow, `TokenizationError` for a
  ///   tokenizer without the tokens of a conversation.
  public init(
    _ model: LoadedModel, system: String? = nil, prompt: AnswerPrompt = .thinking, options: GenerationOptions? = nil
  ) throws {
    self.model = model
    self.prompt = prompt
    self.system = system
    var usual = GenerationOptions()
    usual.maximumTokens = 1024
    if options == nil { usual.sampling = try model.sampling }
    self.options = options ?? usual
    try self.options.validate()
    turnEnd = Int(try model.tokenizer.endOfTurn)
    session = try self.options.emptyText(of: model.model)
    reset()
  }

  /// What was said, the system's words first. A question stands here once it has an answer, whole or interrupted.
  public var messages: [Message] { lock.withLock { turns } }

  /// Forgets all questions and answers. An answer that is being written joins the conversation when it ends.
  public func reset() { lock.withLock { turns = system.map { [Message(.system, $0)] } ?? [] } }

  /// Answers a question, calling `onText` with each piece as it comes.
  ///
  /// - Throws: as the form with a check.
  @discardableResult
  public func answer(_ question: String, onText: (String) throws -> Void = { _ in }) throws -> GenerationResult {
    try answer(question, check: {}, onText: onText)
  }

  /// Answers a question that may be interrupted, calling `onText` with each piece as it comes.
  ///
  /// An answer that is interrupted stays in the conversation as far as it came; a question without one does not.
  ///
  /// - Parameter check: called before every pass; what it throws ends the answer.
  /// - Throws: `GenerationError` for an empty question and for a conversation as long as the model's
  ///   context; what `check` and `onText` throw.
  @discardableResult
  public func answer(
    _ question: String, check: () throws -> Void, onText: (String) throws -> Void
  ) throws -> GenerationResult {
    guard !question.isEmpty else { throw GenerationError("the question is empty: expected text") }
    return try turn.withLock {
      var conversation = try Conversation(messages + [Message(.user, question)])
      let tokens = try model.tokenizer.encode(conversation, prompt: prompt).tokens.map(Int.init)
      var text = ""
      defer {
        // An answer that has no text is none.
        if !text.isEmpty {
          conversation.append(Message(.assistant, text))
          lock.withLock { turns = conversation.messages }
        }
      }
      return try model.generate(
        tokens, options: options, in: session, endingAt: [turnEnd], check: check
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
}
