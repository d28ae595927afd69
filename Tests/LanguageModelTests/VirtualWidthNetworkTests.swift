import TestSupport
import Testing
import WidebandTorch
import WidebandVirtualWidth

@testable import WidebandLanguageModel

/// Algorithm 1 in composed operators, held to the model.
struct VirtualWidthNetworkTests {
  struct Shape: Sendable, CustomTestStringConvertible {
    let m, n: Int
    let embedding: VirtualWidth.Embedding
    let connections: VirtualWidth.Connections
    var testDescription: String { "(\(m), \(n)) \(embedding) \(connections)" }
  }

  static let shapes = [
    Shape(m: 2, n: 3, embedding: .expanded, connections: .dynamic),
    Shape(m: 4, n: 8, embedding: .wide, connections: .dynamic),
    Shape(m: 2, n: 4, embedding: .wide, connections: .static),
    Shape(m: 1, n: 1, embedding: .expanded, connections: .dynamic),
  ]

  @Test("the network computes what the model does before its final norm", arguments: shapes, Kernels.allCases)
  func network_equalsTheModel(shape: Shape, kernels: Kernels) throws {
    let configuration = ModelConfiguration.small {
      $0.isHeadTied = false
      $0.virtualWidth = VirtualWidth(
        fractionRate: shape.m, slots: shape.n, embedding: shape.embedding, connections: shape.connections)
    }
    let model = try LanguageModel(configuration, weights: WeightStore(seed: 5))
    // Fresh maps are zero, and a fresh connection is a residual stream: every weight gets a value of its own.
    let generator = try Generator(seed: 6)
    try withTorch {
      withoutGradients {
        for (name, tensor) in model.weights.tensors where name.contains("connection") || name.contains("reduce") {
          tensor.copy(from: tensor + Tensor.normal(tensor.shape, mean: 0, standardDeviation: 0.1, from: generator))
        }
      }
    }
    let tokens = Tensor((0..<14).map { Int64($0 * 5 % 61) }, shape: [2, 7])
    let network = try #require(model.virtualWidthNetwork)
    #expect(network.connections.count == 2 * configuration.layerCount)
    func context() -> ForwardContext { ForwardContext(length: 7, configuration: configuration) }
    try Kernels.$selected.withValue(kernels) {
      let (ours, expected) = try withTorch {
        withoutGradients {
          (
            network(tokens, sublayers: model.sublayers(in: context())),
            network.reduce(model.trunk(tokens, in: context()))
          )
        }
      }
      #expect(ours.shape == [2, 7, configuration.hiddenSize])
      #expect(try relativeError(of: ours, to: expected) < 2e-6)
    }
  }

  @Test("a model without a virtual width has no such network") func plainModel() throws {
    let model = try LanguageModel(.small { $0.virtualWidth = nil }, weights: WeightStore(seed: 1))
    #expect(model.virtualWidthNetwork == nil)
  }
}
