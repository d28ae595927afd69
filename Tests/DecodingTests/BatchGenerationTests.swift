import TestSupport
import Testing
import WidebandCheckedInput
import WidebandTorch

@testable import WidebandDecoding
@testable import WidebandLanguageModel

/// Several sequences at a time against each by itself.
@Suite struct BatchGenerationTests {
  private static let prompts = [
    "In the beginning", "God", "And the earth was without form", "a", "The", "And darkness", "Let there be", "And",
    "the Spirit", "morning", "Day", "In", "beginning God", "waters", "And God saw", "light", "firmament", "heaven",
    "evening and",
  ]

  private static let split = ModelConfiguration.DirectDecoding(
    encodingLayers: 0, decodingLayers: 1, cycle: 3, gate: .add)

  private func options(_ change: (inout GenerationOptions) -> Void = { _ in }) -> GenerationOptions {
    var options = GenerationOptions()
    options.seed = 7
    options.maximumTokens = 9
    change(&options)
    return options
  }

  @Test(
    arguments: [
      { $0.sampling.temperature = 0 },
      { $0.sampling.topK = 20 },
      { $0.stopStrings = ["e"] },
      { $0.cycle = 1 },
      { $0.cycle = 3 },
      {
        $0.cycle = 3
        $0.stopStrings = ["e", "s"]
      },
      {
        $0.usesCache = false
        $0.maximumTokens = 3
      },
      {
        $0.cycle = 2
        $0.usesCache = false
        $0.maximumTokens = 3
      },
    ] as [@Sendable (inout GenerationOptions) -> Void])
  func sequencesAreThoseThatTheyAreAlone(change: @Sendable (inout GenerationOptions) -> Void) throws {
    let model = try Fixtures.loaded(directDecoding: Self.split)
    let prompts = try Self.prompts.map(model.promptTokens)
    var ended: Set<Int> = []
    let found = try model.generate(batch: prompts, options: options(change)) { index, result in
      #expect(ended.insert(index).inserted && !result.text.isEmpty || !result.tokens.isEmpty)
    }
    #expect(ended == Set(prompts.indices))
    for (index, prompt) in prompts.enumerated() {
      var own = options(change)
      own.seed = 7 + UInt64(index)
      let alone = try model.generate(prompt, options: own)
      #expect(found[index].tokens == alone.tokens, "sequence \(index)")
      #expect(found[index].text == alone.text && found[index].finishReason == alone.finishReason)
      #expect(found[index].seed == alone.seed && found[index].promptTokenCount == alone.promptTokenCount)
      #expect(found[index].decodedTokenCount == alone.decodedTokenCount)
    }
  }

  @Test func aSequenceJoinsWhereTheOthersBeginACycle() throws {
    // No pending states remain when another sequence joins.
    let model = try Fixtures.loaded(directDecoding: Self.split)
    let sequences = try (0..<2).map { _ in try DecodingSession(model.model, cycle: 3) }
    _ = try sequences.map { try $0.prefill([1, 2]) }
    for step in 1...6 {
      _ = try DecodingSession.append([3, 4], to: sequences)
      #expect(sequences.map { $0.nextPhase == 0 } == [step % 3 == 0, step % 3 == 0])
    }
  }

  @Test func badBatchesAreRefusedBeforeAnythingIsComputed() throws {
    let model = try Fixtures.loaded()
    let long = [TokenID](repeating: 1, count: model.model.configuration.contextLength)
    func refusal(_ prompts: [[TokenID]], _ options: GenerationOptions) -> String {
      message {
        try model.generate(batch: prompts, options: options) { _, _ in Issue.record("something was computed") }
      }
    }
    #expect(
      refusal([[1], long], options())
        == "sequence 2 of 2: the prompt has \(long.count) tokens: expected at most \(long.count - 1), "
        + "as the model's context holds \(long.count) (max_position_embeddings)")
    #expect(
      refusal([[1]], options { $0.draftMethod = .prediction })
        == "drafts are for one sequence: expected none for several")
    #expect(refusal([[1]], options { $0.maximumTokens = 0 }).contains("max tokens is 0"))
    #expect(try model.generate(batch: [], options: options()).isEmpty)
  }

  @Test func ordinarySequencesShareAPass() throws {
    let model = try Fixtures.loaded().model
    let (one, other) = try (DecodingSession(model), DecodingSession(model))
    _ = try one.prefill([1, 2, 3])
    _ = try other.prefill([4])
    let (first, second) = try (DecodingSession(model), DecodingSession(model))
    _ = try first.prefill([1, 2, 3])
    _ = try second.prefill([4])
    let logits = try DecodingSession.append([5, 6], to: [one, other])
    for (row, (sequence, token)) in zip([first, second], [5, 6] as [TokenID]).enumerated() {
      #expect(try areIdentical(sequence.append(token), withTorch { logits.select(0, row) }))
    }
    #expect(one.tokens == [1, 2, 3, 5] && other.tokens == [4, 6])
    let outside = TokenID(model.configuration.vocabularySize)
    #expect(
      message { _ = try DecodingSession.append([5, outside], to: [one, other]) }
        == "token id \(outside) at position 2: expected 0 to \(outside - 1), as vocab_size is \(outside)")
    #expect(
      message { _ = try DecodingSession.append([5, 6], to: [one, one]) }
        == "2 tokens for 2 sequences: expected one for each sequence of a model")
    #expect(one.tokens == [1, 2, 3, 5] && one.cache?.length == 4)
  }
}
