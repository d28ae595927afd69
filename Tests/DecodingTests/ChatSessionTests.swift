import Foundation
import Testing
import WidebandLanguageModel
import WidebandTokenization
import WidebandTorch

@testable import WidebandDecoding

private var options: GenerationOptions {
  var options = GenerationOptions()
  options.sampling = .greedy
  options.maximumTokens = 12
  return options
}

@Suite struct ChatSessionTests {
  private let model: LoadedModel

  init() throws { model = try Fixtures.loaded(contextLength: 160) }

  /// The answer to a conversation in a new session.
  private func fresh(_ messages: [Message], _ prompt: ThinkingMode) throws -> GenerationResult {
    let tokens = try model.tokenizer.encode(try Conversation(messages), prompt: prompt).tokens
    return try model.generate(tokens, options: options)
  }

  @Test(arguments: ThinkingMode.allCases) func laterAnswersAreThoseOfTheWholeConversation(prompt: ThinkingMode) throws {
    let chat = try ChatSession(model, system: "Be kind.", prompt: prompt, options: options)
    for question in ["Hello", "What is light?", "And dark?"] {
      let before = chat.messages
      var text = ""
      let result = try chat.answer(question) { text += $0 }
      let expected = try fresh(before + [Message(.user, question)], prompt)
      #expect(result.tokens == expected.tokens)
      #expect(result.text == text && text == expected.text)
      #expect(chat.messages == before + [Message(.user, question), Message(.assistant, text)])
      // Everything before the last answer is in the cache.
      #expect(before.count == 1 ? result.reusedTokenCount == 0 : result.reusedTokenCount >= 11 * (before.count - 1) / 2)
      #expect(result.promptTokenCount == expected.promptTokenCount)
    }
  }

  /// A model that decodes directly, whose last layer runs for every token.
  private func direct() throws -> LoadedModel {
    var configuration = model.model.configuration
    configuration.directDecoding = .init(encodingLayers: 0, decodingLayers: 1, cycle: 3, gate: .add)
    return LoadedModel(
      model: try LanguageModel(configuration, weights: WeightStore(seed: 3)), tokenizer: model.tokenizer,
      endOfTextTokens: [])
  }

  /// Answers that are prefilled again have an open gate; answers in the common prefix keep their phases, as in a session
  /// without a cache.
  @Test(arguments: ThinkingMode.allCases) func directDecodingContinuesFromTurnToTurn(prompt: ThinkingMode) throws {
    let model = try direct()
    var (options, slow) = (options, options)
    options.cycle = 3
    (slow.cycle, slow.usesCache) = (3, false)
    let chat = try ChatSession(model, prompt: prompt, options: options)
    let recomputed = try ChatSession(model, prompt: prompt, options: slow)
    for question in ["Hello", "What is light?", "And dark?"] {
      let before = chat.messages + [Message(.user, question)]
      let answer = try chat.answer(question)
      #expect(try recomputed.answer(question).tokens == answer.tokens)
      guard prompt == .direct else { continue }
      let tokens = try model.tokenizer.encode(try Conversation(before), prompt: prompt).tokens
      #expect(try model.generate(tokens, options: options).tokens == answer.tokens)
    }
    #expect(
      message { _ = try ChatSession(self.model, options: options) } == "\(ConfigurationError.missingSplit)")
  }

  @Test func aResetForgetsAllButTheSystem() throws {
    let chat = try ChatSession(model, system: "Be kind.", options: options)
    let first = try chat.answer("Hello").tokens
    try chat.answer("More")
    chat.reset()
    #expect(chat.messages == [Message(.system, "Be kind.")])
    #expect(try chat.answer("Hello").tokens == first)
  }

  @Test func anInterruptedAnswerStaysAsFarAsItCame() throws {
    let chat = try ChatSession(model, options: options)
    var passes = 0
    var text = ""
    #expect(throws: CancellationError.self) {
      try chat.answer(
        "Hello",
        check: {
          passes += 1
          if passes == 6 { throw CancellationError() }
        }, onText: { text += $0 })
    }
    #expect(!text.isEmpty)
    #expect(chat.messages == [Message(.user, "Hello"), Message(.assistant, text)])
    let next = try chat.answer("More")
    let expected = try fresh(Array(chat.messages.dropLast()), .thinking)
    #expect(next.tokens == expected.tokens)
  }

  @Test func aQuestionWithoutAnAnswerLeavesNothing() throws {
    let chat = try ChatSession(model, options: options)
    #expect(message { try chat.answer("") } == "the question is empty: expected text")
    #expect(
      message { try chat.answer(String(repeating: "long ", count: 400)) }?
        .hasSuffix("expected at most 159, as the model's context holds 160 (max_position_embeddings)") == true)
    #expect(throws: CancellationError.self) {
      try chat.answer("Hello", check: { throw CancellationError() }, onText: { _ in })
    }
    #expect(chat.messages == [])
  }

  @Test func aStreamIsTheAnswer() async throws {
    let expected = try ChatSession(model, options: options).answer("Hello")
    let chat = try ChatSession(model, options: options)
    var text = ""
    for try await event in chat.stream("Hello") {
      switch event {
      case .text(let piece): text += piece
      case .finished(let result): #expect(result.tokens == expected.tokens)
      }
    }
    #expect(text == expected.text)
    #expect(chat.messages.count == 2)
  }

  @Test func whatCannotBeIsRefused() throws {
    // The template renders a system message without text.
    #expect(try ChatSession(model, system: "").messages == [Message(.system, "")])
    var none = options
    none.maximumTokens = 0
    #expect(message { _ = try ChatSession(model, options: none) } == "max tokens is 0: expected at least 1")
    let tokenizer = try BytePairTrainer(vocabularySize: 258).train([Array("aaaa".utf8)]).tokenizer()
    let plain = LoadedModel(model: model.model, tokenizer: tokenizer, endOfTextTokens: [])
    #expect(
      message { _ = try ChatSession(plain) }
        == "the tokenizer has no added token '<|im_start|>': expected one for conversations")
  }
}
