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
