import Checkpoint
import Foundation
import LanguageModel
import Testing
import Torch

@testable import Decoding

/// Folders of adapters, held to what peft makes of the same ones.
@Suite struct AdapterFolderTests {
  private let temporary: TemporaryFolder
  private let base = Fixtures.url("huggingface/qwen3").path
  private var url: URL { temporary.url }

  /// What peft wrote, copied to where it can be changed.
  init() throws {
    temporary = try TemporaryFolder()
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
      try FileManager.default.copyItem(
        at: Fixtures.url("adapters/qwen3/\(name)"), to: temporary.url.appending(path: name))
    }
    try change { $0["base_model_name_or_path"] = base }
  }

  private func change(_ body: (inout [String: Any]) -> Void) throws {
    let file = url.appending(path: "adapter_config.json")
    var values = try #require(JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
    body(&values)
    try JSONSerialization.data(withJSONObject: values).write(to: file)
  }

  private func store() throws -> (ModelConfiguration, WeightStore) {
    let stored = try StoredModel(ModelFolder(url))
    let configuration = try ModelConfiguration(stored)
    return (
      configuration,
      WeightStore(stored: try stored.tensors(configuration), mutable: false, adapters: try stored.adapters())
    )
  }

  @Test func logitsAreThoseOfPeft() throws {
    let expected = try SafetensorsFile(Fixtures.url("adapters/qwen3/expected.safetensors")).tensors()
    let (tokens, logits) = try (#require(expected["tokens"]), #require(expected["logits"]))
    let (configuration, weights) = try store()
    let model = try LanguageModel(configuration, weights: weights)
    #expect(try relativeError(withTorch { model.logits(tokens) }, logits) < 2e-6)
    let fused = WeightStore(
      stored: Dictionary(uniqueKeysWithValues: try weights.fused().map { ($0.name, $0.tensor) }), mutable: false)
    let whole = try LanguageModel(configuration, weights: fused)
    #expect(try relativeError(withTorch { whole.logits(tokens) }, logits) < 2e-6)
    let session = DecodingSession(model)
    let row = try tokens.elements(Int64.self).prefix(11).map(Int.init)
    _ = try session.append(Array(row.dropLast()))
    let last = try session.append([row[10]])
    #expect(try relativeError(last, withTorch { logits.select(0, 0).select(0, 10) }) < 2e-6)
  }

  @Test func whatIsNoPlainAdapterIsRefused() throws {
    let file = url.appending(path: "adapter_config.json").path
    func refusal(_ key: String, _ value: Any?) throws -> String? {
      let old = try Data(contentsOf: URL(filePath: file))
      defer { try? old.write(to: URL(filePath: file)) }
      try change { $0[key] = value }
      return message { _ = try StoredModel(ModelFolder(url)) }
    }
    let plain = "expected none, as plain LoRA alone is supported"
    #expect(try refusal("r", 3) == nil)
    #expect(try refusal("peft_type", "LOHA") == "\(file): peft_type is \"LOHA\": expected \"LORA\"")
    #expect(try refusal("r", 0) == "\(file): r is 0: expected a whole number of at least 1")
    #expect(try refusal("lora_alpha", nil) == "\(file): lora_alpha is missing: expected a positive number")
    #expect(try refusal("use_dora", true) == "\(file): use_dora is true: \(plain)")
    #expect(try refusal("rank_pattern", ["q_proj": 4]) == "\(file): rank_pattern is {\"q_proj\":4}: \(plain)")
    #expect(try refusal("modules_to_save", ["lm_head"]) == "\(file): modules_to_save is [\"lm_head\"]: \(plain)")
    #expect(try refusal("bias", "all") == "\(file): bias is \"all\": expected \"none\"")
    #expect(
      try refusal("base_model_name_or_path", NSNull())
        == "\(file): base_model_name_or_path is null: expected the folder of the model that the adapters are for")
    #expect(
      try refusal("base_model_name_or_path", "/no/where")
        == "\(file): base_model_name_or_path is \"/no/where\": there is no such model folder; "
        + "write there where it lies now")
    try Data("[".utf8).write(to: URL(filePath: file))
    #expect(message { _ = try StoredModel(ModelFolder(url)) } == "\(file): is not a JSON object")
  }

  @Test func adaptersThatDoNotFitAreNamed() throws {
    func refusal() -> String? { message { _ = try LoadedModel(url) } }
    let tokenizer = try Data(contentsOf: Fixtures.url("tokenizers/qwen/tokenizer.json"))
    let copy = try TemporaryFolder()
    var configuration = try ModelConfiguration(ModelFolder(URL(filePath: base)))
    configuration.vocabularySize = 3100
    let model = try LanguageModel(configuration, weights: WeightStore(seed: 1))
    try ModelFolder(copy.url).write(
      configuration: configuration.json(), tensors: model.weights.tensors.map { ($0.key, $0.value) },
      extraFiles: ["tokenizer.json": tokenizer])
    try change { $0["base_model_name_or_path"] = copy.url.path }
    #expect(refusal() == nil)
    try change { $0["r"] = 4 }
    #expect(
      refusal()
        == "\(url.standardizedFileURL.path): tensor 'model.layers.0.self_attn.q_proj.lora_A.weight' has shape [3, 24]: "
        + "the configuration expects [4, 24]")
    try change { $0["r"] = 3 }
    let file = url.appending(path: "adapter_model.safetensors")
    try Safetensors.write([("base_model.model.lm_head.lora_magnitude_vector", .ones([3]))], to: file)
    #expect(
      refusal()
        == "\(file.path): tensor 'base_model.model.lm_head.lora_magnitude_vector' is no part of an adapter: "
        + "expected names as base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight")
    try Safetensors.write([("base_model.model.model.x.lora_A.weight", .ones([3, 3]))], to: file)
    #expect(
      refusal()
        == "\(url.standardizedFileURL.path): unexpected tensor 'model.x.lora_A.weight': "
        + "the configuration has no place for it")
    try Safetensors.write(
      [("base_model.model.model.x.lora_A.weight", .ones([3, 3]))], metadata: ["format": "pt", "base": "0"], to: file)
    #expect(
      refusal()
        == "\(url.standardizedFileURL.path): the adapters are for other weights than those in \(copy.url.path), "
        + "which have changed since")
    try FileManager.default.removeItem(at: file)
    #expect(try #require(refusal()).hasPrefix("\(file.path): "))
  }

  @Test func aFingerprintIsOfTheValuesInAnyType() throws {
    let random = Tensor([1, 2, 3, 4.5] as [Float], shape: [2, 2])
    func print(_ tensors: [String: Tensor]) throws -> String { try StoredModel.fingerprint(of: tensors) }
    let one = try print(["a": random])
    #expect(try print(["a": withTorch { random.to(.bfloat16) }]) == one)
    #expect(try print(["b": random]) != one)
    #expect(try print(["a": withTorch { random.flattened() }]) != one)
    #expect(try print(["a": withTorch { random + 1e-6 }]) != one)
    for place in [0, 999, 500] {
      let long = Tensor((0..<1000).map { $0 == place ? 1 : 0 } as [Float])
      #expect(try print(["a": long]) != print(["a": .zeros([1000])]))
    }
    #expect(try print(["a": .zeros([0])]) != print([:]))
  }
}
