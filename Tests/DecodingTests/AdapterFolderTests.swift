import Foundation
import Testing
import WidebandCheckedInput
import WidebandCheckpoint
import WidebandLanguageModel
import WidebandTorch

@testable import WidebandDecoding
@testable import WidebandVerification

/// Folders of adapters, compared with what peft computes for them.
@Suite struct AdapterFolderTests {
  private let temporary: TemporaryFolder
  private let base = Fixtures.url("huggingface/qwen3").path
  private var url: URL { temporary.url }

  /// What peft wrote, copied to where it can be changed.
  init() throws {
    temporary = try TemporaryFolder()
    try copy("qwen3")
  }

  private func copy(_ fixture: String) throws {
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
      let target = temporary.url.appending(path: name)
      try? FileManager.default.removeItem(at: target)
      try FileManager.default.copyItem(at: Fixtures.url("adapters/\(fixture)/\(name)"), to: target)
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
    let stored = try ModelSource(ModelFolder(url))
    let configuration = try ModelConfiguration(stored)
    let tensors = try stored.tensors(configuration)
    return (
      configuration, WeightStore(stored: tensors, mutable: false, adapters: try stored.adapters(for: tensors))
    )
  }

  @Test("logits are those at the end of peft's training", arguments: ["qwen3", "qwen3-pissa", "qwen3-olora"])
  func logits_likePeft(fixture: String) throws {
    try copy(fixture)
    let expected = try SafetensorsFile(Fixtures.url("adapters/\(fixture)/expected.safetensors")).tensors()
    let (tokens, logits) = try (#require(expected["tokens"]), #require(expected["logits"]))
    let (configuration, weights) = try store()
    let model = try LanguageModel(configuration, weights: weights)
    #expect(try relativeError(withTorch { model.logits(tokens) }, logits) < 2e-6)
    let fused = WeightStore(
      stored: Dictionary(uniqueKeysWithValues: try weights.fused().map { ($0.name, $0.tensor) }), mutable: false)
    let whole = try LanguageModel(configuration, weights: fused)
    #expect(try relativeError(withTorch { whole.logits(tokens) }, logits) < 2e-6)
    try FileManager.default.copyItem(
      at: Fixtures.url("adapters/\(fixture)/expected.safetensors"), to: url.appending(path: "expected.safetensors"))
    #expect(try Verification(url).passes)
    let session = try DecodingSession(model)
    let row = try tokens.elements(Int64.self).prefix(11).map(TokenID.init(clamping:))
    _ = try session.prefill(Array(row.dropLast()))
    let last = try session.append(row[10])
    #expect(try relativeError(last, withTorch { logits.select(0, 0).select(0, 10) }) < 2e-6)
  }

  @Test("the base is looked for from where the command runs and from the folder of the adapters")
  func base_relativePath() throws {
    try FileManager.default.createSymbolicLink(
      at: url.appending(path: "base"), withDestinationURL: URL(filePath: base))
    try change { $0["base_model_name_or_path"] = "base" }
    #expect(try ModelSource(ModelFolder(url)).base.url.path == url.standardizedFileURL.path + "/base")
    try change { $0["base_model_name_or_path"] = "./../\(url.lastPathComponent)/base/" }
    #expect(try ModelSource(ModelFolder(url)).base.hasWeights)
  }

  @Test("adapters trained on the class without a head lack the prefix of its names")
  func names_withoutPrefix() throws {
    let file = url.appending(path: "adapter_model.safetensors")
    let tensors = try SafetensorsFile(file).tensors().map { name, tensor in
      (name: name.replacing("base_model.model.model.", with: "base_model.model."), tensor: tensor)
    }
    try Safetensors.write(tensors, to: file)
    #expect(try store().1.adapters?.weights.tensors.isEmpty == true)
    let (configuration, weights) = try store()
    _ = try LanguageModel(configuration, weights: weights)
    #expect(weights.adapters?.weights.tensors.count == tensors.count)
  }

  @Test("adapters that took out what cannot be made again are refused, others are not")
  func initialization_refused() throws {
    let file = url.standardizedFileURL.appending(path: "adapter_config.json").path
    let known =
      "expected true, false, gaussian, orthogonal, eva, mica, pissa or olora; with others the weights that the "
      + "adapters were trained on cannot be recomputed, see peft's path_initial_model_for_weight_conversion"
    for value in ["pissa_niter_4", "corda", "loftq", "lora_ga", "later\u{1b}[31m"] {
      try change { $0["init_lora_weights"] = value }
      let shown = value.replacing("\u{1b}", with: "\\u{1b}")
      #expect(
        message { _ = try ModelSource(ModelFolder(url)) } == "\(file): init_lora_weights is '\(shown)': \(known)")
    }
    try change { $0["init_lora_weights"] = 1 }
    #expect(message { _ = try ModelSource(ModelFolder(url)) } == "\(file): init_lora_weights is 1: \(known)")
    for value in ["gaussian", "eva", "orthogonal", "mica", true, false, NSNull()] as [Any] {
      try change { $0["init_lora_weights"] = value }
      #expect(try ModelSource(ModelFolder(url)).adapter?.initialization == nil)
    }
    try change { $0["init_lora_weights"] = nil }
    #expect(try ModelSource(ModelFolder(url)).adapter?.initialization == nil)
  }

  @Test("what is taken out of a weight has to fit it, and the module is named where it does not")
  func initialization_thatDoesNotFit() throws {
    try change {
      $0["init_lora_weights"] = "pissa"
      $0["r"] = 25
    }
    let file = url.standardizedFileURL.appending(path: "adapter_model.safetensors").path
    #expect(
      message { _ = try store() }
        == "\(file): module 'model.layers.0.mlp.down_proj': the weight is float32 of shape [24, 40]: expected floats with "
        + "at least 25 rows and columns, as init_lora_weights is pissa")
  }

  @Test func whatIsNoPlainAdapterIsRefused() throws {
    let file = url.appending(path: "adapter_config.json").path
    func refusal(_ key: String, _ value: Any?) throws -> String? {
      let old = try Data(contentsOf: URL(filePath: file))
      defer { try? old.write(to: URL(filePath: file)) }
      try change { $0[key] = value }
      return message { _ = try ModelSource(ModelFolder(url)) }
    }
    let plain = "expected none, as plain LoRA alone is supported"
    #expect(try refusal("r", 3) == nil)
    #expect(try refusal("peft_type", "LOHA") == "\(file): peft_type is 'LOHA': expected LORA")
    #expect(try refusal("r", 0) == "\(file): r is 0: expected an integer from 1 to 1048576")
    #expect(
      try refusal("lora_alpha", nil) == "\(file): lora_alpha is missing: expected a positive number that float32 holds")
    #expect(
      try refusal("lora_alpha", 0) == "\(file): lora_alpha is 0: expected a positive number that float32 holds")
    #expect(try refusal("lora_alpha", 1e39)?.hasSuffix("expected a positive number that float32 holds") == true)
    #expect(try refusal("use_unheard_of", true) == "\(file): use_unheard_of is true: \(plain)")
    #expect(try refusal("use_dora", true) == "\(file): use_dora is true: \(plain)")
    #expect(try refusal("rank_pattern", ["q_proj": 4]) == "\(file): rank_pattern is an object: \(plain)")
    #expect(try refusal("modules_to_save", ["lm_head"]) == "\(file): modules_to_save is a list: \(plain)")
    #expect(try refusal("bias", "all") == "\(file): bias is 'all': expected none")
    #expect(
      try refusal("base_model_name_or_path", NSNull())
        == "\(file): base_model_name_or_path is null: expected the folder of the model that the adapters are for")
    #expect(
      try refusal("base_model_name_or_path", "/no/where")
        == "\(file): base_model_name_or_path is '/no/where': expected the folder of the model that the adapters are for"
    )
    try Data("[".utf8).write(to: URL(filePath: file))
    #expect(
      message { _ = try ModelSource(ModelFolder(url)) } == "\(file): line 1, column 2: malformed JSON: expected a value"
    )
    try Data("[]".utf8).write(to: URL(filePath: file))
    #expect(message { _ = try ModelSource(ModelFolder(url)) } == "\(file): the document is a list: expected an object")
  }

  @Test("adapters that their configuration leaves out are refused, where peft would load another model")
  func modules_againstTheConfiguration() throws {
    let file = url.appending(path: "adapter_model.safetensors").path
    func refusal() -> String? {
      message {
        let stored = try ModelSource(ModelFolder(url))
        _ = try stored.adapters(for: stored.tensors(ModelConfiguration(stored)))
      }
    }
    func expected(_ module: String, _ objection: String) -> String {
      "\(file): has an adapter of module '\(module)', but in adapter_config.json \(objection)"
    }
    let query = "model.layers.0.self_attn.q_proj"
    try change { $0["exclude_modules"] = ["q_proj"] }
    #expect(refusal() == expected(query, "exclude_modules has it"))
    try change {
      $0["exclude_modules"] = nil
      $0["layers_to_transform"] = [1]
    }
    #expect(try #require(refusal()).hasSuffix("layers_to_transform does not have layer 0"))
    try change {
      $0["layers_to_transform"] = nil
      $0["target_modules"] = ["up_proj"]
    }
    #expect(try #require(refusal()).hasSuffix("target_modules does not have it"))
    try change { $0["target_modules"] = "all-linear" }
    #expect(refusal() == nil)
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
    func print(_ tensors: [String: Tensor]) throws -> String { try ModelSource.fingerprint(of: tensors) }
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
