import TestSupport
import Testing
import WidebandTorch
import WidebandVirtualWidth

@testable import WidebandLanguageModel

@Suite struct WeightTests {
  /// The error message of loading a model's changed weights.
  private func loading(
    _ configuration: ModelConfiguration = .everything, _ change: (inout [String: Tensor]) throws -> Void
  ) throws -> String {
    let store = WeightStore(seed: 1)
    _ = try LanguageModel(configuration, weights: store)
    var tensors = Dictionary(uniqueKeysWithValues: store.tensors.map { ($0.key, $0.value) })
    try change(&tensors)
    return message { _ = try LanguageModel(configuration, weights: WeightStore(stored: tensors, mutable: false)) }
  }

  @Test func completeWeightsLoad() throws { #expect(try loading { _ in } == "no error") }

  @Test(arguments: [
    ("model.embed_tokens.weight", [61, 96]), ("lm_head.weight", [61, 48]), ("model.norm.weight", [48]),
    ("model.reduce.weight", [48, 96]), ("model.reduce_norm.bias", [96]),
    ("model.layers.1.attention_connection.static_alpha", [8, 12]),
    ("model.layers.0.mlp_connection.dynamic_beta", [4, 12]), ("model.layers.1.mlp_connection.norm.weight", [12]),
    ("model.layers.1.self_attn.k_proj.weight", [16, 48]), ("model.layers.1.self_attn.q_norm.weight", [8]),
    ("model.layers.0.mlp.gate.weight", [6, 48]), ("model.layers.0.mlp.experts.5.down_proj.weight", [48, 16]),
    ("model.mtp.1.proj.weight", [12, 24]), ("model.mtp.0.hidden_norm.weight", [96]),
    ("model.mtp.1.layers.0.mlp_connection.static_beta", [8, 4]), ("model.mtp.0.reduce.weight", [48, 96]),
    ("model.mtp.1.norm.weight", [48]),
  ])
  func aWeightThatIsMissingIsNamed(name: String, shape: [Int]) throws {
    #expect(
      try loading { $0[name] = nil }
        == "missing tensor '\(name)': the configuration expects it with shape \(shape)")
    #expect(
      try loading { $0[name] = .zeros(shape + [1]) }
        == "tensor '\(name)' has shape \(shape + [1]): the configuration expects \(shape)")
    #expect(
      try loading { $0[name] = .zeros(shape, .int16) }
        == "tensor '\(name)' has dtype int16: expected float32, float64, bfloat16 or float16")
  }

  @Test func aWeightTooManyIsNamed() throws {
    let rest = ": the configuration has no place for it"
    #expect(
      try loading { $0["model.layers.2.mlp.gate.weight"] = .zeros([1]) }
        == "unexpected tensor 'model.layers.2.mlp.gate.weight'" + rest)
    #expect(
      try loading {
        $0["model.x"] = .zeros([1])
        $0["model.b"] = .zeros([1])
        $0["z"] = .zeros([1])
      } == "unexpected tensor 'model.b' (and 2 more)" + rest)
    #expect(
      try loading(.small { $0.isHeadTied = true }) { $0["lm_head.weight"] = .zeros([61, 48]) }
        == "unexpected tensor 'lm_head.weight'" + rest)
  }

  @Test func namesAreThoseOfTheModelFolder() throws {
    let configuration = ModelConfiguration.small {
      $0.layerCount = 1
      $0.virtualWidth = VirtualWidth(fractionRate: 2, slots: 4)
      $0.multiTokenPrediction = .init(depth: 1)
    }
    let store = WeightStore(seed: 1)
    _ = try LanguageModel(configuration, weights: store)
    let connection = [
      "static_alpha", "static_beta", "dynamic_alpha", "dynamic_beta", "alpha_scale", "beta_scale", "norm.weight",
    ]
    let attention = ["q_proj", "k_proj", "v_proj", "o_proj", "q_norm", "k_norm"].map { "self_attn.\($0).weight" }
    let layer =
      connection.flatMap { ["attention_connection.\($0)", "mlp_connection.\($0)"] } + attention
      + ["gate_proj", "up_proj", "down_proj"].map { "mlp.\($0).weight" }
      + ["input_layernorm.weight", "post_attention_layernorm.weight"]
    let readout = ["reduce_norm.weight", "reduce_norm.bias", "reduce.weight", "norm.weight"]
    let depth =
      ["hidden_norm.weight", "embedding_norm.weight", "proj.weight"] + layer.map { "layers.0.\($0)" } + readout
    let expected =
      ["lm_head.weight", "model.embed_tokens.weight", "model.embed_expand.weight"]
      + layer.map { "model.layers.0.\($0)" } + readout.map { "model.\($0)" } + depth.map { "model.mtp.0.\($0)" }
    #expect(Set(store.tensors.keys) == Set(expected))
  }

  @Test("experts are in the configured layers") func experts_layers() throws {
    let configuration = ModelConfiguration.small {
      $0.layerCount = 6
      $0.experts = .init(count: 2, perToken: 1, intermediateSize: 8, layerStep: 2, denseLayers: [3])
    }
    let store = WeightStore(seed: 1)
    _ = try LanguageModel(configuration, weights: store)
    let layers = (0..<6).filter { store.tensors["model.layers.\($0).mlp.gate.weight"] != nil }
    #expect(layers == [1, 5])
    #expect(layers == (0..<6).filter(configuration.hasExperts(layer:)))
    #expect(store.tensors["model.layers.3.mlp.up_proj.weight"]?.shape == [56, 48])
  }
}
