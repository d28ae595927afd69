import TestSupport
import Testing
import WidebandTorch
import WidebandVirtualWidth

@testable import WidebandLanguageModel

@Suite struct ModelCostTests {
  @Test(arguments: Fixtures.models) func parametersAreThoseOfTheFile(name: String) throws {
    let configuration = try Fixtures.configuration(name)
    let cost = ModelCost(configuration, contextLength: 16)
    let fresh = WeightStore(seed: 1)
    _ = try LanguageModel(configuration, weights: fresh)
    #expect(cost.parameters == fresh.parameterCount)
    #expect(try Fixtures.tensors(name).values.reduce(0) { $0 + $1.count } == cost.parameters)
    #expect(cost.activeParameters <= cost.parameters)
  }

  @Test(arguments: ModelConfiguration.variety.map(\.name)) func parametersAreThoseOfTheStore(name: String) throws {
    let configuration = try #require(ModelConfiguration.variety.first { $0.name == name }).configuration
    let store = WeightStore(seed: 1)
    _ = try LanguageModel(configuration, weights: store)
    #expect(ModelCost(configuration, contextLength: 16).parameters == store.parameterCount)
  }

  /// At (m, n) = (2, 3): 42 D for norm, maps and width connection, 6 D for the depth connection. Source: arXiv
  /// 2511.11238, section 5.1.
  @Test func aConnectionCostsWhatThePaperSays() throws {
    func operations(_ m: Int, _ n: Int, _ kind: VirtualWidth.Connections = .dynamic) throws -> Double {
      let configuration = ModelConfiguration.small {
        $0.virtualWidth = VirtualWidth(fractionRate: m, slots: n, connections: kind)
      }
      let cost = ModelCost(configuration, contextLength: 16)
      let part = try #require(cost.parts.first { $0.name == "hyper-connections" })
      // In units of D for each of the two connections of two layers.
      return part.operations / 4 / 48
    }
    #expect(try operations(2, 3) == 42 + 6)
    #expect(try operations(2, 3, .static) == 15 + 6)
    // 4 r for the norm, 2 (2m+n) r for the maps, 2 (m+n) r for the width, 2 n for the depth.
    #expect(try operations(8, 64) == 32 + 1280 + 1152 + 128)
    #expect(try operations(1, 1) == 4 + 6 + 4 + 2)
  }

  @Test func aDenseLayerCostsTwiceItsWeights() throws {
    let cost = ModelCost(.small { $0.layerCount = 1 }, contextLength: 10)
    func part(_ name: String) throws -> ModelCost.Part { try #require(cost.parts.first { $0.name == name }) }
    #expect(try part("feed-forward").operations == 2 * 3 * 48 * 56)
    // Projections, then products with keys and values of five positions on average, for 4 heads of 8 channels.
    let projections = 48 * 32 * 2 + 48 * 16 * 2
    let products = 4 * 32 * 5
    #expect(try part("attention").operations == Double(2 * projections + products))
    #expect(try part("output head").operations == 2 * 61 * 48)
    #expect(cost.parts.allSatisfy { $0.parameters > 0 || $0.operations > 0 })
  }

  @Test func onlyChosenExpertsAreActive() throws {
    let configuration = ModelConfiguration.small {
      $0.experts = .init(count: 6, perToken: 2, intermediateSize: 16)
    }
    let cost = ModelCost(configuration, contextLength: 16)
    let part = try #require(cost.parts.first { $0.name == "feed-forward" })
    #expect(part.parameters == 2 * (6 * 3 * 48 * 16 + 6 * 48))
    #expect(part.activeParameters == 2 * (2 * 3 * 48 * 16 + 6 * 48))
  }

  @Test("reduce and head of a prompt count for its last token alone") func prompt_operations() throws {
    let configuration = ModelConfiguration.small {
      $0.virtualWidth = VirtualWidth(fractionRate: 4, slots: 8)
    }
    let cost = ModelCost(configuration, contextLength: 10)
    func part(_ name: String) throws -> Double { try #require(cost.parts.first { $0.name == name }).operations }
    let last = try part("reduce") + part("output head")
    let expected = 10 * (cost.operations - last) + last
    #expect(abs(ModelCost.operations(ofPrompt: 10, configuration) - expected) < 1e-6 * expected)
    // Prediction depths are not part of a prefill.
    var withDepth = configuration
    withDepth.multiTokenPrediction = .init(depth: 1, lossWeight: 0.3)
    #expect(ModelCost.operations(ofPrompt: 10, withDepth) == ModelCost.operations(ofPrompt: 10, configuration))
  }

  @Test("sizes that multiply past 2^63 are counted without a trap, and the largest that are valid to the unit")
  func sizes_huge() throws {
    var configuration = ModelConfiguration(
      vocabularySize: 1 << 24, hiddenSize: 1 << 20, layerCount: 10_000, headCount: 1 << 16, headSize: 1 << 16,
      intermediateSize: 1 << 24)
    configuration.experts = .init(count: 1 << 16, perToken: 1 << 16, intermediateSize: 1 << 24)
    configuration.multiTokenPrediction = .init(depth: 64)
    configuration.virtualWidth = .init(fractionRate: 1, slots: 4096)
    let cost = ModelCost(configuration, contextLength: .max)
    #expect(cost.parameters == .max && cost.activeParameters == .max)
    #expect(cost.operations.isFinite && cost.operations > 1e20)
    let large = ModelConfiguration(
      vocabularySize: 1, hiddenSize: 1 << 20, layerCount: 100, headCount: 1, headSize: 2, intermediateSize: 1 << 20)
    try large.validate()
    let layer = 3 * (1 << 40) + (1 << 20) * 8 + 4 + 2 * (1 << 20)
    #expect(ModelCost(large, contextLength: 1).parameters == 100 * layer + 3 * (1 << 20))
  }
}
