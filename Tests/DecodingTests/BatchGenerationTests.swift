import TestSupport
import Testing
import Torch

@testable import Decoding
@testable import LanguageModel

/// Several texts at a time against each by itself.
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
  func textsAreThoseThatTheyAreAlone(change: @Sendable (inout GenerationOptions) -> Void) throws {
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
      #expect(found[index].tokens == alone.tokens, "text \(index)")
      #expect(found[index].text == alone.text && found[index].finishReason == alone.finishReason)
      #expect(found[index].seed == alone.seed && found[index].promptTokenCount == alone.promptTokenCount)
      #expect(found[index].decodedTokenCount == alone.decodedTokenCount)
    }
  }

  @Test func aTextJoinsWhereTheOthersBeginACycle() throws {
    // What the thinking layers have not seen is never left behind by a text that came later.
    let model = try Fixtures.loaded(directDecoding: Self.split)
    let texts = try (0..<2).map { _ in try DirectDecodingSession(model.model, cycle: 3) }
    _ = try texts.map { try $0.read([1, 2]) }
    for step in 1...6 {
      _ = try DirectDecodingSession.append([3, 4], to: texts)
      #expect(texts.map(\.beginsCycle) == [step % 3 == 0, step % 3 == 0])
    }
  }

  @Test func badBatchesAreRefusedBeforeAnythingIsComputed() throws {
    let model = try Fixtures.loaded()
    let long = [Int](repeating: 1, count: model.model.configuration.contextLength)
    func refusal(_ prompts: [[Int]], _ options: GenerationOptions) -> String {
      message {
        try model.generate(batch: prompts, options: options) { _, _ in Issue.record("something was computed") }
      }
    }
    #expect(
      refusal([[1], long], options())
        == "text 2 of 2: the prompt has \(long.count) tokens: expected at most \(long.count - 1), "
        + "as the model's context holds \(long.count) (max_position_embeddings)")
    #expect(
      refusal([[1]], options { $0.drafter = .prediction }) == "drafts are for one text: expected none for several")
    #expect(refusal([[1]], options { $0.maximumTokens = 0 }).contains("max tokens is 0"))
    #expect(try model.generate(batch: [], options: options()).isEmpty)
  }

  @Test func ordinaryTextsGoOnInOnePass() throws {
    let model = try Fixtures.loaded().model
    let (one, other) = (DecodingSession(model), DecodingSession(model))
    _ = try one.append([1, 2, 3])
    _ = try other.append([4])
    let (alone, beside) = (DecodingSession(model), DecodingSession(model))
    _ = try alone.append([1, 2, 3])
    _ = try beside.append([4])
    let together = try DecodingSession.append([5, 6], to: [one, other])
    for (row, (text, token)) in [(alone, 5), (beside, 6)].enumerated() {
      let logits = try text.append([token])
      #expect(try areIdentical(logits, withTorch { together.select(0, row) }))
    }
    #expect(one.tokens == [1, 2, 3, 5] && other.tokens == [4, 6])
    let outside = model.configuration.vocabularySize
    #expect(
      message { _ = try DecodingSession.append([5, outside], to: [one, other]) }
        == "token id \(outside) at position 2: expected 0 to \(outside - 1), as vocab_size is \(outside)")
    #expect(
      message { _ = try DecodingSession.append([5, 6], to: [one, one]) }
        == "2 tokens for 2 texts: expected one for each text of a model")
    #expect(one.tokens == [1, 2, 3, 5] && one.cache?.length == 4)
  }
}
