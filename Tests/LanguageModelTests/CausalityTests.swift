import TestSupport
import Testing
import WidebandTorch

@testable import WidebandLanguageModel

@Suite struct CausalityTests {
  private let length = 12

  private func model(_ name: String) throws -> LanguageModel {
    let configuration = try #require(ModelConfiguration.variety.first { $0.name == name }).configuration
    return try LanguageModel(configuration, weights: WeightStore(seed: 3))
  }

  private func ids(changing position: Int? = nil) -> Tensor {
    var ids = (0..<length).map { Int64($0 * 37 + 5) % 61 }
    if let position { ids[position] = (ids[position] + 9) % 61 }
    return Tensor(ids, shape: [1, length])
  }

  /// The first position at which logits `[1, T, V]` differ by more than rounding.
  private func firstDifference(_ a: Tensor, _ b: Tensor) throws -> Int? {
    let distances = try withTorch { (a - b).abs().max(-1).flattened() }.elements(Double.self)
    #expect(distances.count == length)
    return distances.firstIndex { $0 > 1e-5 }
  }

  @Test(arguments: ModelConfiguration.variety.map(\.name), [0, 1, 7, 11])
  func logits_doNotDependOnLaterTokens(name: String, position: Int) throws {
    let model = try model(name)
    for kernels in Kernels.allCases {
      try Kernels.$selected.withValue(kernels) {
        let (before, after) = try withTorch { (model.logits(ids()), model.logits(ids(changing: position))) }
        #expect(try firstDifference(before, after) == position)
      }
    }
  }

  /// At position t, depth k is given the targets up to t + k.
  @Test(arguments: ["depths", "everything"], [3, 7, 11])
  func depths_doNotDependOnLaterTargets(name: String, position: Int) throws {
    let model = try model(name)
    let (before, after) = try withTorch {
      let state = model.trunk(ids(), in: ForwardContext(length: length, configuration: model.configuration))
      func outputs(_ targets: Tensor) -> [Tensor] {
        model.mtpOutputs(
          from: state, tokens: ids(), targets: targets,
          in: ForwardContext(length: length, configuration: model.configuration))
      }
      return (outputs(ids()), outputs(ids(changing: position)))
    }
    #expect(before.count == model.configuration.multiTokenPrediction?.depth)
    for (k, (one, other)) in zip(before, after).enumerated() {
      #expect(try firstDifference(one, other) == position - k, "depth \(k)")
    }
  }

  /// The token at t + 1 reaches depth 0 at position t as a target alone.
  @Test("depths read the state of their own position") func depths_state() throws {
    let model = try model("depths")
    func outputs(_ tokens: Tensor) throws -> [Tensor] {
      try withTorch {
        let context = ForwardContext(length: length, configuration: model.configuration)
        return model.mtpOutputs(from: model.trunk(tokens, in: context), tokens: tokens, targets: ids(), in: context)
      }
    }
    for (one, other) in try zip(outputs(ids()), outputs(ids(changing: 6))) {
      #expect(try firstDifference(one, other) == 6)
    }
  }

  @Test(arguments: ModelConfiguration.variety.map(\.name)) func twoRunsAreEqualBitForBit(name: String) throws {
    func run() throws -> [Tensor] {
      let model = try model(name)
      let weights = Array(model.weights.tensors.values)
      return try withTorch {
        weights.forEach { $0.requiringGradient() }
        let context = ForwardContext(length: length, configuration: model.configuration)
        let losses = model.losses(ids(), targets: ids(changing: 3), in: context)
        losses.total.backward()
        return losses.named.map { $0.value.detached() } + weights.map { $0.gradient ?? .zeros($0.shape) }
      }
    }
    let (first, second) = try (run(), run())
    #expect(first.count == second.count)
    for (one, other) in zip(first, second) { #expect(try areIdentical(one, other)) }
  }

  @Test func halfPrecisionStaysClose() throws {
    for (name, configuration) in ModelConfiguration.variety {
      let exact = try withTorch { try LanguageModel(configuration, weights: WeightStore(seed: 3)).logits(ids()) }
      let half = try LanguageModel(configuration, weights: WeightStore(seed: 3), computingIn: .bfloat16)
      let found = try withTorch { half.logits(ids()) }
      #expect(found.dtype == .float32)
      // Rounded channels may change the routing of a token.
      let tolerance = configuration.experts == nil ? 0.03 : 0.3
      #expect(try relativeError(of: found, to: exact) < tolerance, "\(name)")
    }
  }
}
