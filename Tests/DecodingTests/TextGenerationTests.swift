import Foundation
import Testing
import WidebandCheckedInput
import WidebandLanguageModel
import WidebandTokenization
import WidebandTorch

@testable import WidebandDecoding

private func options(_ change: (inout GenerationOptions) -> Void = { _ in }) -> GenerationOptions {
  var options = GenerationOptions()
  options.seed = 4
  options.maximumTokens = 20
  change(&options)
  return options
}

/// Whether a text has complete characters only.
private func isWhole(_ text: String) -> Bool { !text.unicodeScalars.contains("\u{FFFD}") }

@Test(
  arguments: [
    { $0.sampling.temperature = 0 },
    { $0.sampling.topK = 50 },
    {
      $0.sampling.topP = 0.9
      $0.sampling.minP = 0.01
      $0.sampling.repetitionPenalty = 1.3
    },
  ] as [@Sendable (inout GenerationOptions) -> Void])
func textIsTheSameWithoutTheCache(change: @Sendable (inout GenerationOptions) -> Void) throws {
  let model = try Fixtures.loaded()
  let cached = try model.generate("In the beginning", options: options(change))
  let plain = try model.generate(
    "In the beginning",
    options: options {
      change(&$0)
      $0.usesCache = false
    })
  #expect(cached.tokens.count == 20)
  #expect(cached.tokens == plain.tokens)
  #expect(cached.text == plain.text)
  #expect(cached.seed == 4)
}

@Test func piecesMakeTheText() throws {
  let model = try Fixtures.loaded()
  var pieces: [String] = []
  let result = try model.generate("Hello", options: options()) { pieces.append($0) }
  #expect(pieces.count > 1)
  #expect(pieces.joined() == result.text)
  #expect(try model.tokenizer.decode(result.tokens, skipSpecialTokens: true) == result.text)
  #expect(result.finishReason == .maximumTokens)
  #expect(result.promptTokenCount == (try model.promptTokens("Hello").count))
  #expect(result.decodedTokenCount == 19)
  #expect(result.prefillSeconds > 0)
  #expect((result.tokensPerSecond ?? 0) > 0)
}

@Test func aSeedIsChosenAndNamed() throws {
  let model = try Fixtures.loaded()
  let first = try model.generate("Hello", options: options { $0.seed = nil })
  #expect(try model.generate("Hello", options: options { $0.seed = first.seed }).tokens == first.tokens)
}

@Test func anEndOfTextTokenEndsTheText() throws {
  let free = try Fixtures.loaded().generate("Hello", options: options())
  let end = free.tokens[7]
  let before = free.tokens.prefix { $0 != end }
  let result = try Fixtures.loaded(endOfTextTokens: [2999, end]).generate("Hello", options: options())
  #expect(result.finishReason == .endOfText)
  #expect(result.tokens == Array(before))
  #expect(result.decodedTokenCount == before.count, "the ending token took a pass too")
}

@Test func aTextEndsWithTheContext() throws {
  let model = try Fixtures.loaded(contextLength: 16)
  let prompt = [TokenID](1...10)
  let result = try model.generate(prompt, options: options())
  #expect(result.finishReason == .contextLength)
  #expect(result.tokens.count == 6)
  #expect(result.finishReason.description == "context length")
}

/// A stop string across the border of two tokens, cut from the text that comes without it.
@Test func aStopStringAcrossTokensEndsTheText() throws {
  let model = try Fixtures.loaded()
  let free = try model.generate("Hello", options: options())
  var decoder = StreamDecoder(model.tokenizer)
  let texts = try free.tokens.map { try decoder.append($0) }
  let border = try #require((4..<18).first { texts[$0].count > 1 && texts[$0 + 1].count > 1 && isWhole(texts[$0 + 1]) })
  let stop = String(texts[border].suffix(1)) + String(texts[border + 1].prefix(1))
  let expected = try #require(free.text.range(of: stop)).lowerBound
  var pieces: [String] = []
  let result = try model.generate("Hello", options: options { $0.stopStrings = ["never to come", stop] }) {
    pieces.append($0)
  }
  #expect(result.finishReason == .stopString(stop))
  #expect(result.text == String(free.text[..<expected]))
  #expect(pieces.joined() == result.text)
  #expect(result.tokens.count <= border + 2)
}

@Test func textHeldBackComesOutAtTheEnd() throws {
  let model = try Fixtures.loaded()
  let free = try model.generate("Hello", options: options())
  let last = try #require(free.text.last)
  let result = try model.generate("Hello", options: options { $0.stopStrings = ["\(last) and more"] })
  #expect(result.text == free.text)
  #expect(result.finishReason == .maximumTokens)
}

@Test func charactersAreNotSplit() throws {
  let model = try Fixtures.loaded()
  let text = "日本語 👩‍🔬 é"
  let ids = try model.tokenizer.encode(text)
  var decoder = StreamDecoder(model.tokenizer)
  #expect(try ids.map { try decoder.append($0) }.allSatisfy(isWhole))
  // Random weights generate invalid UTF-8 too: it is U+FFFD in the pieces as in the complete text.
  let result = try model.generate(ids, options: options { $0.maximumTokens = 50 })
  #expect(result.text == (try model.tokenizer.decode(result.tokens, skipSpecialTokens: true)))
}

@Test func rowsWithoutATokenAreNeverChosen() throws {
  let model = try Fixtures.loaded(rows: 60_000)
  let result = try model.generate("Hello", options: options { $0.sampling.temperature = 50 })
  #expect(result.tokens.allSatisfy { $0 < model.tokenizer.vocabularySize })
}

@Test("An id without a token is never sampled, with any method", arguments: [0, 50] as [Double])
func idWithoutToken_isNeverSampled(temperature: Double) throws {
  let folder = try TemporaryFolder()
  let own = try String(contentsOf: Fixtures.url("tokenizers/qwen/tokenizer.json"), encoding: .utf8)
  // A fifth of the ids have no token.
  let file = folder.url.appending(path: "tokenizer.json")
  try Data(own.replacingOccurrences(of: "\"id\": 3004", with: "\"id\": 3800").utf8).write(to: file)
  let tokenizer = try Tokenizer(contentsOf: file)
  let weights = WeightStore(seed: 1)
  var configuration = ModelConfiguration(
    vocabularySize: 4000, hiddenSize: 8, layerCount: 2, headCount: 2, intermediateSize: 8)
  configuration.directDecoding = .init(encodingLayers: 0, decodingLayers: 1, cycle: 3, gate: .select)
  let model = try LanguageModel(configuration, weights: weights)
  // The logits of the gaps are those of other tokens, and larger.
  try withTorch {
    try withoutGradients {
      let head = try #require(weights.tensors["lm_head.weight"])
      head.slice(0, 3100..<3600).copy(from: head.slice(0, 0..<500) * 3)
    }
  }
  let loaded = LoadedModel(model: model, tokenizer: tokenizer, endOfTextTokens: [3900])
  let methods: [@Sendable (inout GenerationOptions) -> Void] = [
    { _ in }, { $0.usesCache = false }, { $0.cycle = 3 }, { $0.sampling.repetitionPenalty = 1.1 },
    { $0.sampling.topK = 2000 },
    {
      $0.draftMethod = .direct
      $0.cycle = 3
    },
  ]
  for method in methods {
    let options = options {
      $0.maximumTokens = 60
      $0.sampling.temperature = temperature
      method(&$0)
    }
    func areTokens(_ ids: [TokenID]) -> Bool { ids.allSatisfy { tokenizer.idToToken($0) != nil } }
    #expect(areTokens(try loaded.generate("Hello", options: options).tokens))
    guard options.draftMethod == nil, options.usesCache else { continue }
    for result in try loaded.generate(batch: [[1], [2], [3]], options: options) { #expect(areTokens(result.tokens)) }
  }
}

@Test("A token that ends the text may be sampled even where it has no text")
func endOfTextWithoutToken_isSampled() throws {
  let model = try Fixtures.loaded(rows: 3100)
  let end: TokenID = 3099
  let loaded = LoadedModel(model: model.model, tokenizer: model.tokenizer, endOfTextTokens: [end])
  let logits = Tensor([Float](repeating: 0, count: 3099) + [9])
  #expect(try Sampler(.greedy, seed: 1).next(logits, among: loaded.allowedTokens, after: []) == end)
}

@Test func anEmptyPromptStartsAText() throws {
  let model = try Fixtures.loaded()
  let start = try #require(model.tokenizer.tokenToID("<|endoftext|>"))
  let result = try model.generate("", options: options())
  #expect(result.promptTokenCount == 1)
  #expect(result.tokens == (try model.generate([start], options: options())).tokens)
}

@Test func anEmptyPromptNeedsAStart() throws {
  let json = #"""
    {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []},
     "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
     "decoder": {"type": "ByteLevel"}, "added_tokens": []}
    """#
  let tokenizer = try Tokenizer(json: .init(json.utf8), name: "two letters")
  let other = try Fixtures.loaded()
  let model = LoadedModel(model: other.model, tokenizer: tokenizer, endOfTextTokens: [])
  #expect(
    message { try model.generate("") }
      == "the prompt is empty: expected text, as the tokenizer has no token to start one from")
  let ending = LoadedModel(model: other.model, tokenizer: tokenizer, endOfTextTokens: [5])
  #expect(try ending.generate("", options: options()).promptTokenCount == 1)
}

@Test func impossibleGenerationsAreRefused() throws {
  let model = try Fixtures.loaded(contextLength: 16)
  let size = TokenID(model.tokenizer.vocabularySize)
  #expect(
    message { try model.generate(Array(repeating: 1, count: 16)) }
      == "the prompt has 16 tokens: expected at most 15, "
      + "as the model's context holds 16 (max_position_embeddings)")
  #expect(
    message { try model.generate([1, 2, size, 3]) }
      == "token id \(size) at position 2: expected 0 to \(size - 1), as vocab_size is \(size)")
  #expect(
    message { try model.generate([1], options: options { $0.maximumTokens = 0 }) }
      == "max tokens is 0: expected at least 1")
  #expect(
    message { try model.generate([1], options: options { $0.stopStrings = [""] }) }
      == "stop string 1 is empty: expected at least one character")
  #expect(
    message { try model.generate([1], options: options { $0.sampling.topP = 2 }) }
      == "top-p is 2.0: expected from 0 to 1")
}

@Test func whatTheReaderThrowsEndsTheText() throws {
  struct Enough: Error {}
  let model = try Fixtures.loaded()
  var count = 0
  #expect(throws: Enough.self) {
    try model.generate("Hello", options: options()) { _ in
      count += 1
      if count == 3 { throw Enough() }
    }
  }
  #expect(count == 3)
}
