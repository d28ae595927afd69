import Testing
import WidebandCheckedInput
import WidebandLanguageModel
import WidebandTorch

@testable import WidebandDecoding

private let kind = DirectModel(kind: .plain, encoding: 1, decoding: 2, gate: .add)

@Test func cyclesThatTheModelWasNotTunedForAreRefused() throws {
  let model = try kind.model()
  for cycle in [0, -3, 7] {
    #expect(
      message { _ = try DecodingSession(model, cycle: cycle) }
        == "cycle is \(cycle): expected 1 to 6, the longest that the model was tuned for (direct_decoding.cycle)")
  }
  #expect(try DirectDrafter(model, cycle: nil).limit == 5)
  var options = GenerationOptions()
  options.cycle = 7
  #expect(
    message { _ = try TokenGeneration(model: model, options: options).run(prompt: [1]) }?.hasPrefix("cycle is 7: ")
      == true)
}

@Test func aModelWithoutALayerSplitCannotDecodeDirectly() throws {
  let loaded = try Fixtures.loaded()
  #expect(
    message { _ = try DecodingSession(loaded.model, cycle: 2) }
      == "direct_decoding is missing: expected encoding_layers, decoding_layers, cycle and gate")
}

@Test func theContextMayEndInACycle() throws {
  let model = try kind.model(contextLength: 8)
  let session = try DecodingSession(model, cycle: 4)
  _ = try session.prefill([1, 2, 3])
  for token: TokenID in [4, 5, 6, 7, 8] { _ = try session.append(token) }
  let full = "9 tokens exceed the model's context, which holds 8 (max_position_embeddings)"
  #expect(message { _ = try session.append(9) } == full)
  #expect(session.tokens == [1, 2, 3, 4, 5, 6, 7, 8])
  var options = GenerationOptions()
  options.cycle = 4
  let result = try TokenGeneration(model: model, options: options).run(prompt: [1, 2])
  #expect(result.finishReason == .contextLength)
  #expect(result.tokens.count == 6)
  #expect(
    message { _ = try TokenGeneration(model: model, options: options).run(prompt: Array(repeating: 1, count: 8)) }
      == "the prompt has 8 tokens: expected at most 7, as the model's context holds 8 (max_position_embeddings)")
}

@Test func impossibleTokensAreRefusedAndChangeNothing() throws {
  let model = try kind.model(contextLength: 8)
  let (one, other) = (try DecodingSession(model, cycle: 3), try DecodingSession(model, cycle: 3))
  #expect(message { _ = try one.prefill([]) } == "no tokens to read: expected at least one")
  #expect(
    message { _ = try one.prefill([1, 2], phases: [0]) } == "1 phases for 2 tokens: expected one for each")
  #expect(
    message { _ = try one.prefill([1, 61]) } == "token id 61 at position 1: expected 0 to 60, as vocab_size is 61")
  #expect(throws: GenerationError.unknownToken(61, position: 1, vocabularySize: 61)) { try one.prefill([1, 61]) }
  #expect(one.tokens.isEmpty)
  _ = try one.prefill([1, 2])
  _ = try other.prefill([3])
  let expected = "token id 61 at position 1: expected 0 to 60, as vocab_size is 61"
  #expect(message { _ = try DecodingSession.append([5, 61], to: [one, other]) } == expected)
  #expect(one.tokens == [1, 2])
  #expect(one.cache?.length == 2)
  #expect(
    message { _ = try DecodingSession.append([5, 6], to: [one, one]) }
      == "2 tokens for 2 sequences: expected one for each sequence of a model")
  #expect(
    message { _ = try DecodingSession.append([5, 6], to: [one, .init(model)]) }
      == "2 tokens for 2 sequences: expected one for each sequence of a model")
  #expect(
    message { _ = try DecodingSession.append([5, 6], to: [one, .init(kind.model(), cycle: 3)]) }
      == "2 tokens for 2 sequences: expected one for each sequence of a model")
  #expect(
    message { _ = try DecodingSession.append([], to: []) }
      == "0 tokens for 0 sequences: expected one for each sequence of a model")
}

@Test(arguments: [nil, 4]) func anInterruptedPromptEndsWithItsLastPass(cycle: Int?) throws {
  struct Stop: Error {}
  let model = try kind.model(contextLength: 1200)
  let session = try DecodingSession(model, cycle: cycle)
  var passes = 0
  #expect(throws: Stop.self) {
    _ = try session.prefill(someTokens(1100)) {
      passes += 1
      if passes == 3 { throw Stop() }
    }
  }
  #expect(session.tokens.count == 1024)
  let logits = try session.prefill(someTokens(76, from: 1024))
  #expect(try relativeError(logits, DecodingSession(model, cycle: cycle).prefill(someTokens(1100))) <= 2e-5)
}
