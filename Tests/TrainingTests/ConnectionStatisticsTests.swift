import TestSupport
import Testing
import WidebandLanguageModel
import WidebandTorch
import WidebandVirtualWidth

@testable import WidebandTraining

struct ConnectionStatisticsTests {
  private let tokens = Tensor((0..<14).map { Int64($0 * 5 % 61) }, shape: [2, 7])

  private func model(_ connections: VirtualWidth.Connections = .dynamic) throws -> LanguageModel {
    let configuration = ModelConfiguration.small {
      $0.virtualWidth = VirtualWidth(fractionRate: 2, slots: 4, embedding: .wide, connections: connections)
      $0.multiTokenPrediction = .init(depth: 1)
    }
    return try LanguageModel(configuration, weights: WeightStore(seed: 2))
  }

  private func change(_ model: LanguageModel, _ suffix: String, _ new: (Tensor) -> Tensor) throws {
    try withTorch {
      for (name, tensor) in model.weights.tensors where name.hasPrefix("model.layers") && name.hasSuffix(suffix) {
        tensor.copy(from: new(tensor.cloned()))
      }
    }
  }

  @Test(arguments: VirtualWidth.Connections.allCases)
  func initialValues_haveGainOneAndNoDynamicPart(_ kind: VirtualWidth.Connections) throws {
    let statistics = try #require(try ConnectionStatistics(model(kind), tokens: tokens))
    #expect(statistics.largestCarryGain == 1)
    #expect(statistics.dynamicShare == 0)
  }

  @Test("reads of the slots after the first m: the norm of the constants, the deviation over tokens")
  func extraReads() throws {
    let model = try model()
    let start = try #require(try ConnectionStatistics(model, tokens: tokens))
    #expect(start.extraReadNorm == 0 && start.extraReadDeviation == 0)
    // Rows 2 and 3 of [A° | Â] are the extra slots, columns 0 and 1 their reads: 4 elements of 0.5 have the norm 1.
    try change(model, "static_alpha") { old in
      let reads = Tensor([0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5], shape: [4, 2])
      return old + .concatenate([reads, .zeros([4, 4])], axis: 1)
    }
    let changed = try #require(try ConnectionStatistics(model, tokens: tokens))
    #expect(abs((changed.extraReadNorm ?? 0) - 1) < 1e-6)
    #expect(changed.extraReadDeviation == 0)
    try change(model, "dynamic_alpha") { old in old + 0.3 }
    let dynamic = try #require(try ConnectionStatistics(model, tokens: tokens))
    #expect((dynamic.extraReadDeviation ?? 0) > 1e-3)
    let narrow = ModelConfiguration.small { $0.virtualWidth = VirtualWidth(fractionRate: 2, slots: 2) }
    let none = try #require(
      try ConnectionStatistics(LanguageModel(narrow, weights: WeightStore(seed: 2)), tokens: tokens))
    #expect(none.extraReadNorm == nil && none.extraReadDeviation == nil)
  }

  @Test func aPlainModelHasNone() throws {
    let plain = try LanguageModel(.small(), weights: WeightStore(seed: 2))
    #expect(try ConnectionStatistics(plain, tokens: tokens) == nil)
  }

  @Test("the gain is that of the product of all carries") func gain_overDepth() throws {
    let model = try model()
    // Two layers of two connections each, every carry 1.5 times the identity.
    try change(model, "static_alpha") { .concatenate([$0.slice(1, 0..<2), $0.slice(1, 2...) * 1.5], axis: 1) }
    let statistics = try #require(try ConnectionStatistics(model, tokens: tokens))
    #expect(abs(statistics.largestCarryGain - 1.5 * 1.5 * 1.5 * 1.5) < 1e-5)
  }

  @Test("with shrinking carries the gain is that of the first") func gain_ofShrinkingCarries() throws {
    let model = try model()
    try change(model, "static_alpha") { .concatenate([$0.slice(1, 0..<2), $0.slice(1, 2...) * 0.5], axis: 1) }
    let statistics = try #require(try ConnectionStatistics(model, tokens: tokens))
    #expect(abs(statistics.largestCarryGain - 0.5) < 1e-6)
  }

  @Test("the gain is the maximum over row and column sums") func gain_rowsAndColumns() throws {
    // Two more ones in a row, then in a column.
    for places in [[1, 2], [4, 8]] {
      let model = try model(.static)
      let carry = (0..<16).map { Float($0 % 5 == 0 || places.contains($0) ? 1 : 0) }
      try change(model, "layers.0.attention_connection.static_alpha") {
        .concatenate([$0.slice(1, 0..<2), Tensor(carry, shape: [4, 4])], axis: 1)
      }
      let statistics = try #require(try ConnectionStatistics(model, tokens: tokens))
      #expect(statistics.largestCarryGain == 3)
    }
  }

  @Test func theDynamicShareGrowsWithTheMaps() throws {
    let model = try model()
    try change(model, "dynamic_alpha") { .full($0.shape, 0.1) }
    let small = try #require(try ConnectionStatistics(model, tokens: tokens)).dynamicShare
    try change(model, "dynamic_alpha") { .full($0.shape, 1) }
    let large = try #require(try ConnectionStatistics(model, tokens: tokens)).dynamicShare
    #expect(0 < small && small < large && large < 1)
  }
}
