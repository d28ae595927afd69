import TestSupport
import Testing
import WidebandLanguageModel
import WidebandTorch

struct CycleGateTests {
  private func configuration(_ gate: ModelConfiguration.DirectDecoding.Gate) -> ModelConfiguration {
    .small { $0.directDecoding = .init(encodingLayers: 1, decodingLayers: 1, cycle: 3, gate: gate) }
  }

  @Test func phasesCountFromTheAnchor() {
    #expect((0..<9).map { CycleGate.phase(of: $0, anchor: 2, cycle: 3) } == [-1, -1, 0, 1, 2, 0, 1, 2, 0])
    #expect((0..<4).map { CycleGate.phase(of: $0, anchor: 0, cycle: 1) } == [0, 0, 0, 0])
  }

  @Test("a gate combines encoder states and thinking outputs") func gate_values() throws {
    let phases = Tensor([-1, 0, 1, 2] as [Int64], shape: [1, 4])
    let encoded = Tensor([1, 2, 3, 4] as [Float], shape: [1, 4, 1, 1])
    let thought = Tensor([10, 20, 30, .nan] as [Float], shape: [1, 4, 1, 1])
    let added = try CycleGate(phases: phases, configuration(.add))(encoded: encoded, thought: thought)
    #expect(try added.elements(Float.self) == [11, 22, 3, 4])
    let selected = try CycleGate(phases: phases, configuration(.select))(encoded: encoded, thought: thought)
    #expect(try selected.elements(Float.self) == [10, 20, 3, 4])
  }

  @Test func layersAreGroupedInOrder() {
    let split = ModelConfiguration.DirectDecoding(encodingLayers: 1, decodingLayers: 2, cycle: 4, gate: .add)
    let groups = split.groups(layerCount: 7)
    #expect(groups.encoding == 0..<1)
    #expect(groups.thinking == 1..<5)
    #expect(groups.decoding == 5..<7)
  }

  @Test(
    "a split fits if neither group is negative and together they have at most all layers",
    arguments: [
      (0, 0, true), (2, 5, true), (7, 0, true), (3, 5, false), (8, 0, false), (-1, 2, false), (2, -1, false),
      (.max, .max, false),
    ])
  func split_fits(encodingLayers: Int, decodingLayers: Int, fits: Bool) {
    let split = ModelConfiguration.DirectDecoding(
      encodingLayers: encodingLayers, decodingLayers: decodingLayers, cycle: 4, gate: .add)
    #expect(split.fits(layerCount: 7) == fits)
  }

  @Test func aGateNeedsALayerSplit() {
    #expect(
      message { _ = try CycleGate(phases: .zeros([1, 1], .int64), .small()) }
        == "direct_decoding is missing: expected encoding_layers, decoding_layers, cycle and gate")
  }

  @Test("tokens between heads reach later heads through the keys and values of the thinking layers")
  func tokensBetweenHeads_reachLaterHeads() throws {
    let model = try LanguageModel(configuration(.select), weights: WeightStore(seed: 1))
    let weight = try #require(model.weights.tensors["model.embed_tokens.weight"])
    try withTorch {
      weight.requiringGradient()
      let tokens = Tensor([1, 2, 3, 4] as [Int64], shape: [1, 4])
      let gate = try CycleGate(phases: Tensor([0, 1, 2, 0] as [Int64], shape: [1, 4]), model.configuration)
      let context = ForwardContext(length: 4, configuration: model.configuration, gate: gate)
      model.logits(of: model.trunk(tokens, in: context)).slice(1, 3...).sum().backward()
    }
    let gradient = try #require(weight.gradient)
    for token in 1...4 { #expect(try gradient.select(0, token).norm().item() > 0) }
  }
}
