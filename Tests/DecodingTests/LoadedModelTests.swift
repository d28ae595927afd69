import Checkpoint
import Foundation
import LanguageModel
import Testing
import Torch

@testable import Decoding

/// A folder with a small plain model whose vocabulary has `rows` tokens, and a tokenizer beside it.
private func folder(
  rows: Int, dtype: DType = .float32, endOfText: [Int] = [], generation: String? = nil, tokenizer: String = "qwen"
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

@Test(arguments: [#"{"eos_token_id": 5}"#, #"{"eos_token_id": [5]}"#])
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
  #expect(try LoadedModel(folder(rows: 3100, generation: greedy).url).sampling == .greedy)
  #expect(try LoadedModel(folder(rows: 3100).url).sampling == .init())
}

@Test(arguments: [
  (#"{"temperature": -1}"#, "temperature is -1.0: expected a finite number of at least 0"),
  (#"{"top_k": "many"}"#, "top_k has the wrong type: expected a whole number"),
  (#"{"top_p": 2}"#, "top-p is 2.0: expected more than 0 and at most 1"),
  ("[", "is not valid JSON"),
])
func brokenGenerationDefaultsAreRefused(json: String, error: String) throws {
  let folder = try folder(rows: 3100, generation: json)
  let file = folder.url.appending(path: "generation_config.json").path
  #expect(message { _ = try LoadedModel(folder.url) } == "\(file): \(error)")
}

@Test func generationDefaultsComeBackAsTheyWere() throws {
  var written = GenerationConfiguration(endOfTextTokens: [3, 4])
  written.isSampling = true
  written.temperature = 0.7
  written.topK = 20
  written.topP = 0.8
  written.minP = 0.05
  written.repetitionPenalty = 1.1
  let again = try JSONDecoder().decode(GenerationConfiguration.self, from: JSONEncoder().encode(written))
  #expect(again == written)
}

/// Qwen3's own smaller models are tied, and hold the table twice.
@Test func aTiedModelMayHoldItsHeadOnceMore() throws {
  let folder = try TemporaryFolder(copying: "models/plain-tied")
  let file = folder.url.appending(path: "model.safetensors")
  var tensors = try SafetensorsFile(file).tensors()
  let table = try #require(tensors["model.embed_tokens.weight"])
  tensors["lm_head.weight"] = try withTorch { table + 1 }
  try Safetensors.write(tensors.map { (name: $0.key, tensor: $0.value) }, to: file)
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
  #expect(message { _ = try LoadedModel(url) } == "\(url.path)/tokenizer.json: no such file")
}

@Test(arguments: [
  ("{", "is not valid JSON"),
  ("[]", "the document has the wrong type: expected an object"),
  (#"{"hidden_size": 8, "num_attention_heads": 2}"#, "vocab_size is missing"),
  (#"{"hidden_size": "8", "num_attention_heads": 2}"#, "hidden_size has the wrong type: expected a whole number"),
  (#"{"hidden_size": null}"#, "hidden_size is null: expected a whole number"),
  (#"{"model_type": "llama"}"#, #"model_type is "llama": expected qwen3, qwen3_moe or wideband"#),
  (
    #"{"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8, "#
      + #""virtual_width": {"fraction_rate": 2, "slots": 4, "embedding": "huge", "connections": "static"}}"#,
    #"virtual_width.embedding is "huge": expected one of wide, expanded"#
  ),
  (
    #"{"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8, "#
      + #""quantization_config": {"quant_method": "wideband", "scheme": "int3"}}"#,
    #"quantization_config.scheme is "int3": expected one of int8, int4"#
  ),
  (
    #"{"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8, "#
      + #""direct_decoding": {"encoding_layers": 0, "decoding_layers": 1, "cycle": 2, "gate": "open"}}"#,
    #"direct_decoding.gate is "open": expected one of add, select"#
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
