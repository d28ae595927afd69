import TestSupport
import Testing
import WidebandLanguageModel
import WidebandTorch
import WidebandVirtualWidth

@testable import WidebandTraining

struct ParameterGroupsTests {
  /// A model of one layer with all kinds of weights.
  private func groups() throws -> (weights: [String], groups: [ParameterGroups.Group]) {
    let configuration = ModelConfiguration.small {
      $0.layerCount = 1
      $0.virtualWidth = VirtualWidth(fractionRate: 2, slots: 4, embedding: .expanded)
      $0.experts = .init(count: 2, perToken: 1, intermediateSize: 8)
      $0.multiTokenPrediction = .init(depth: 1)
    }
    let weights = try LanguageModel(configuration, weights: WeightStore(seed: 1)).weights.tensors
    return (Array(weights.keys), ParameterGroups(weights).groups)
  }

  private func names(_ groups: [ParameterGroups.Group], isDecayed: Bool) -> Set<String> {
    Set(groups.filter { $0.isDecayed == isDecayed }.flatMap(\.weights).map(\.name))
  }

  @Test func everyWeightIsInOneGroup() throws {
    let (weights, groups) = try groups()
    #expect(groups.flatMap(\.weights).map(\.name).sorted() == weights.sorted())
    #expect(Set(groups.map { [$0.isDecayed, $0.isConnection] }).count == groups.count)
  }

  @Test func whatIsNotDecayed() throws {
    let layer = [
      "input_layernorm.weight", "post_attention_layernorm.weight", "self_attn.q_norm.weight",
      "self_attn.k_norm.weight", "attention_connection.static_alpha", "attention_connection.static_beta",
      "attention_connection.norm.weight", "mlp_connection.static_alpha", "mlp_connection.static_beta",
      "mlp_connection.norm.weight",
    ]
    let depth = [
      "hidden_norm.weight", "embedding_norm.weight", "norm.weight", "reduce_norm.weight", "reduce_norm.bias",
    ]
    let expected =
      layer.map { "model.layers.0.\($0)" } + layer.map { "model.mtp.0.layers.0.\($0)" }
      + depth.map { "model.mtp.0.\($0)" } + ["model.norm.weight", "model.reduce_norm.weight", "model.reduce_norm.bias"]
    #expect(names(try groups().groups, isDecayed: false).sorted() == expected.sorted())
  }

  @Test(arguments: ["dynamic_alpha", "dynamic_beta", "alpha_scale", "beta_scale"])
  func mapsAndScalesOfConnectionsAreDecayed(_ name: String) throws {
    let decayed = names(try groups().groups, isDecayed: true)
    for connection in ["attention", "mlp"] {
      #expect(decayed.contains("model.layers.0.\(connection)_connection.\(name)"))
      #expect(decayed.contains("model.mtp.0.layers.0.\(connection)_connection.\(name)"))
    }
  }

  @Test func matricesAndTablesAreDecayed() throws {
    let decayed = names(try groups().groups, isDecayed: true)
    let expected = [
      "model.embed_tokens.weight", "model.embed_expand.weight", "model.reduce.weight", "lm_head.weight",
      "model.layers.0.self_attn.q_proj.weight", "model.layers.0.mlp.gate.weight", "model.mtp.0.proj.weight",
    ]
    #expect(decayed.isSuperset(of: expected), "\(decayed.sorted())")
  }

  @Test func connectionsAreGroupsOfTheirOwn() throws {
    for group in try groups().groups {
      #expect(group.weights.allSatisfy { $0.name.contains("_connection.") == group.isConnection })
    }
  }
}
