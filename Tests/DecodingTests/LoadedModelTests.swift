import Foundation
import Testing
import WidebandCheckedInput
import WidebandCheckpoint
import WidebandLanguageModel
import WidebandTorch

@testable import WidebandDecoding
@testable import WidebandVerification

/// A folder with a small plain model whose vocabulary has `rows` tokens, and a tokenizer.
private func folder(
  rows: Int, dtype: DType = .float32, endOfText: [TokenID] = [], generation: String? = nil, tokenizer: String = "qwen"
) throws -> TemporaryFolder {
  let temporary = try TemporaryFolder()
  var configuration = ModelConfiguration(
    vocabularySize: rows, hiddenSize: 8, layerCount: 1, headCount: 2, intermediateSize: 8)
  configuration.endOfTextTokens = endOfText
  let model = try LanguageModel(configuration, weights: WeightStore(seed: 1))
  var files = ["tokenizer.json": try Data(contentsOf: Fixtures.url("tokenizers/\(tokenizer)/tokenizer.json"))]
  if let generation { files["generation_config.json"] = Data(generation.utf8) }
  try ModelFolder(temporary.url).write(
    configuration: JSONEncoder().encode(configuration),
    tensors: try withTorch { model.weights.tensors.map { ($0.key, $0.value.to(dtype)) } }, extraFiles: files)
  return temporary
}

@Test func aFolderIsLoadedAsItLies() throws {
  let folder = try folder(rows: 3100, dtype: .bfloat16, endOfText: [7], generation: #"{"eos_token_id": [9, 7]}"#)
  let loaded = try LoadedModel(folder.url)
  #expect(loaded.endOfTextTokens == [7, 9])
  #expect(loaded.model.weights.tensors.values.allSatisfy { $0.dtype == .bfloat16 })
  let converted = try LoadedModel(folder.url, dtype: .float32)
  #expect(converted.model.weights.tensors.values.allSatisfy { $0.dtype == .float32 })
  var options = GenerationOptions()
  options.maximumTokens = 3
  #expect(try loaded.generate("Hello", options: options).promptTokenCount > 0)
}

@Test(arguments: [#"{"eos_token_id": 5}"#, #"{"eos_token_id": [5]}"#, #"{"eos_token_id": [4294967299, 5]}"#])
func textsEndWhereTheGenerationDefaultsSay(generation: String) throws {
  let folder = try folder(rows: 3100, generation: generation)
  #expect(try LoadedModel(folder.url).endOfTextTokens == [5])
}

@Test func tokensAreChosenAsTheGenerationDefaultsSay() throws {
  let all =
    #"{"do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "min_p": 0.1, "repetition_penalty": 1.2}"#
  let sampling = try LoadedModel(folder(rows: 3100, generation: all).url).sampling
  #expect(sampling.temperature == 0.6 && sampling.topK == 20 && sampling.topP == 0.95)
  #expect(sampling.minP == 0.1 && sampling.repetitionPenalty == 1.2)
  let greedy = #"{"do_sample": false, "temperature": 0.6, "top_k": 0}"#
  let defaults = try LoadedModel(folder(rows: 3100, generation: greedy).url).sampling
  #expect(defaults.isGreedy)
  let plain = try LoadedModel(folder(rows: 3100).url).sampling
  #expect(plain == .init())
}

@Test(arguments: [
  (#"{"temperature": -1}"#, "temperature is -1.0: expected a finite number of at least 0"),
  (#"{"top_k": "many"}"#, "top_k is 'many': expected an integer"),
  (#"{"top_p": 2}"#, "top_p is 2.0: expected from 0 to 1"),
  (#"{"temperature": 1e999}"#, "temperature is 1e999: expected a number"),
  (#"{"repetition_penalty": 1e-308}"#, "repetition_penalty is 1e-308: expected from 0.001 to 1000"),
  (#"{"do_sample": "no"}"#, "do_sample is 'no': expected true or false"),
])
func brokenGenerationDefaultsAreRefused(json: String, error: String) throws {
  let folder = try folder(rows: 3100, generation: json)
  let file = folder.url.appending(path: "generation_config.json").path
  let loaded = try LoadedModel(folder.url)
  #expect(message { _ = try loaded.sampling } == "\(file): \(error)")
  #expect(message { _ = try ChatSession(loaded) } == "\(file): \(error)")
  // What goes before the value makes it harmless.
  var overrides = SamplingOverrides()
  (overrides.temperature, overrides.topK, overrides.topP, overrides.repetitionPenalty) = (0.5, -1, 1, 1)
  var expected = SamplingOptions()
  (expected.temperature, expected.topK) = (0.5, -1)
  #expect(try loaded.generation.sampling(overrides) == expected)
}

@Test(
  "Invalid end-of-text tokens of the generation defaults are an error of generation alone",
  arguments: [
    ("[", "line 1, column 2: malformed JSON: expected a value"), ("[]", "the document is a list: expected an object"),
    (#"{"eos_token_id": [1, -1]}"#, "eos_token_id is -1: expected the id of a token, at least 0"),
    (#"{"eos_token_id": ["a"]}"#, "eos_token_id[0] is 'a': expected an integer"),
    (#"{"eos_token_id": {}}"#, "eos_token_id is an object: expected an integer"),
  ])
func generationDefaultsWithoutEnd_areRefused(json: String, error: String) throws {
  let folder = try folder(rows: 3100, generation: json)
  let file = folder.url.appending(path: "generation_config.json").path
  let loaded = try LoadedModel(folder.url)
  #expect(message { try loaded.generate("Hello") } == "\(file): \(error)")
}

@Test func generationDefaultsComeBackAsTheyWere() throws {
  var written = GenerationConfiguration(endOfTextTokens: [3, 4])
  written.isSampling = true
  written.options.temperature = 0.7
  written.options.topK = 20
  written.options.topP = 0.8
  written.options.minP = 0.05
  written.options.repetitionPenalty = 1.1
  let folder = try TemporaryFolder()
  try JSONEncoder().encode(written).write(to: folder.url.appending(path: GenerationConfiguration.fileName))
  #expect(GenerationConfiguration(folder: folder.url) == written)
}

/// A fixture whose weights are changed.
private func changed(
  _ fixture: String, _ change: (inout [String: Tensor]) throws -> Void
) throws -> TemporaryFolder {
  let folder = try TemporaryFolder(copying: fixture)
  let file = folder.url.appending(path: "model.safetensors")
  var tensors = try SafetensorsFile(file).tensors()
  try change(&tensors)
  try Safetensors.write(tensors.map { (name: $0.key, tensor: $0.value) }, to: file)
  return folder
}

/// Qwen3's own smaller models are tied, and hold the table twice.
@Test("a tied model may hold its table twice, in another type too, or under the name of the head alone")
func tiedHead_sameAsTable() throws {
  for dtype in [DType.float32, .float64] {
    let folder = try changed("models/plain-tied") { tensors in
      tensors["lm_head.weight"] = try withTorch { try #require(tensors["model.embed_tokens.weight"]).to(dtype) }
    }
    #expect(try ModelConfiguration(ModelFolder(folder.url)).isHeadTied)
    #expect(try Verification(folder.url).passes)
  }
  let swapped = try changed("models/plain-tied") { tensors in
    tensors["lm_head.weight"] = tensors.removeValue(forKey: "model.embed_tokens.weight")
  }
  #expect(try Verification(swapped.url).passes)
}

@Test("a head that is not the table stays separate, though the configuration says that it is tied")
func tiedHead_differs() throws {
  let folder = try changed("models/plain") { _ in }
  try folder.changeConfiguration {
    $0.replacing("\"tie_word_embeddings\": false", with: "\"tie_word_embeddings\": true")
  }
  let file = folder.url.appending(path: "config.json")
  let tied = try ValueDecoder("config").decode(ModelConfiguration.self, from: JSONValue(contentsOf: file))
  #expect(tied.isHeadTied)
  #expect(try ModelConfiguration(ModelFolder(folder.url)).isHeadTied == false)
  #expect(try Verification(folder.url).passes)
  #expect(
    message { _ = try tied.weights(in: ModelFolder(folder.url)) }
      == "\(ModelFolder(folder.url).url.path): tie_word_embeddings is true, but 'lm_head.weight' is not the table: "
      + "expected false")
}

@Test("what is computed from the configuration is ignored in a file, in any type")
func derivedTensors_areIgnored() throws {
  let folder = try changed("models/plain") { tensors in
    for name in [
      "model.layers.0.self_attn.rotary_emb.inv_freq", "model.rotary_emb.inv_freq", "model.rotary_emb.original_inv_freq",
      "model.layers.1.self_attn.rotary_emb.cos_cached", "model.layers.1.self_attn.rotary_emb.sin_cached",
      "model.layers.0.self_attn.masked_bias",
    ] { tensors[name] = .zeros([4], .int32) }
  }
  #expect(try Verification(folder.url).passes)
  let strange = try changed("models/plain") { $0["model.layers.0.inv_freq"] = .zeros([4]) }
  #expect(
    message { _ = try Verification(strange.url) }?.hasSuffix(
      ": unexpected tensor 'model.layers.0.inv_freq': the configuration has no place for it") == true)
}

@Test("weights saved from the class without a head have names without a prefix")
func names_withoutPrefix() throws {
  for (fixture, architecture) in [("models/plain", "Qwen3ForCausalLM"), ("models/plain-tied", "Qwen3Model")] {
    let folder = try changed(fixture) { tensors in
      let all = tensors
      tensors = [:]
      for (name, tensor) in all { tensors[name.replacing(/^model\./, with: "")] = tensor }
      tensors["rotary_emb.inv_freq"] = .zeros([4])
    }
    try folder.changeConfiguration {
      $0.replacing("{", with: "{\"architectures\": [\"\(architecture)\"],", maxReplacements: 1)
    }
    #expect(try Verification(folder.url).passes)
  }
}

@Test("values of any size under keys that nobody reads are passed over")
func configuration_unreadKeys() throws {
  let folder = try TemporaryFolder(copying: "models/plain")
  let unread =
    #"{"huge": 123456789012345678901234567890, "far": [1e999, -Infinity, NaN], "half": "\ud800", "é": 1, "é": 2, "#
  try folder.changeConfiguration { $0.replacing("{", with: unread, maxReplacements: 1) }
  #expect(try Verification(folder.url).passes)
}

@Test func aVocabularySmallerThanTheTokenizersIsRefused() throws {
  let folder = try folder(rows: 3004)
  let path = ModelFolder(folder.url).url.path
  #expect(
    message { _ = try LoadedModel(folder.url) } == "\(path): the tokenizer has 3005 tokens, but vocab_size is 3004")
}

@Test func aFolderWithoutTokenizerIsRefused() throws {
  let url = Fixtures.url("models/plain")
  #expect(
    message { _ = try LoadedModel(url) } == "\(url.path)/tokenizer.json: cannot be read: No such file or directory")
}

@Test(arguments: [
  ("{", "line 1, column 2: malformed JSON: expected a string"),
  ("[]", "the document is a list: expected an object"),
  (#"{"hidden_size": 8, "num_attention_heads": 2}"#, "vocab_size is missing"),
  (#"{"hidden_size": "8", "num_attention_heads": 2}"#, "hidden_size is '8': expected an integer"),
  (#"{"hidden_size": null}"#, "hidden_size is null: expected an integer"),
  (#"{"model_type": "llama"}"#, "model_type is 'llama': expected qwen3, qwen3_moe or wideband"),
  (#"{"hidden_size": 1e999}"#, "hidden_size is 1e999: expected an integer"),
  (#"{"hidden_size": 8.5}"#, "hidden_size is 8.5: expected an integer"),
  (
    #"{"hidden_size": 9223372036854775808}"#,
    "hidden_size is 9223372036854775808: expected an integer from -9223372036854775808 to 9223372036854775807"
  ),
  (#"{"hidden_size": 8, "num_attention_heads": [2]}"#, "num_attention_heads is a list: expected an integer"),
  (#"{"model_type": "\u001b[31m"}"#, #"model_type is '\u{1b}[31m': expected qwen3, qwen3_moe or wideband"#),
  (
    #"{"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8, "#
      + #""virtual_width": {"fraction_rate": 2, "slots": 4, "embedding": "huge", "connections": "static"}}"#,
    "virtual_width.embedding is 'huge': expected one of wide, expanded"
  ),
  (
    #"{"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8, "#
      + #""quantization_config": {"quant_method": "wideband", "scheme": "int3"}}"#,
    "quantization_config.scheme is 'int3': expected one of int8, int4"
  ),
  (
    #"{"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8, "#
      + #""direct_decoding": {"encoding_layers": 0, "decoding_layers": 1, "cycle": 2, "gate": "open"}}"#,
    "direct_decoding.gate is 'open': expected one of add, select"
  ),
])
func aBrokenConfigurationIsRefused(json: String, error: String) throws {
  let folder = try TemporaryFolder()
  let file = folder.url.appending(path: "config.json")
  try Data(json.utf8).write(to: file)
  #expect(message { _ = try ModelConfiguration(ModelFolder(folder.url)) } == "\(file.path): \(error)")
}

@Test func weightsThatDoNotFitAreRefused() throws {
  let folder = try folder(rows: 3100)
  let path = ModelFolder(folder.url).url.path
  try Safetensors.write([("lm_head.weight", .zeros([1]))], to: folder.url.appending(path: "model.safetensors"))
  #expect(
    message { _ = try LoadedModel(folder.url) }
      == "\(path): missing tensor 'model.embed_tokens.weight': the configuration expects it with shape [3100, 8]")
}

/// Single or in shards, in bfloat16 throughout, against what transformers computes from the same weights exactly.
@Test(arguments: ["huggingface/qwen3-tied-bfloat16", "huggingface/qwen3-moe-mixed-bfloat16"])
func aFolderIsComputedInItsOwnType(name: String) throws {
  let folder = ModelFolder(Fixtures.url(name))
  let configuration = try ModelConfiguration(folder)
  let mapped = try configuration.weights(in: folder)
  let weights = WeightStore(stored: mapped, mutable: false)
  let model = try LanguageModel(configuration, weights: weights, computingIn: .bfloat16)
  func address(_ tensor: Tensor?) throws -> UnsafeRawPointer? { try tensor?.withContiguousBytes { $0.baseAddress } }
  for (name, weight) in weights.tensors {
    #expect(try address(weight) == address(mapped[name]), "\(name) is not where it is mapped")
  }
  #expect(weights.tensors.values.allSatisfy { $0.dtype == .bfloat16 })
  let expected = try SafetensorsFile(folder.url.appending(path: "expected.safetensors")).tensors()
  let tokens = try #require(expected["tokens"])
  let logits = try withTorch { withoutGradients { model.logits(tokens) } }
  #expect(try relativeError(logits, #require(expected["logits"])) < 0.02)
}
