import TestSupport
import Testing
import Torch

@testable import LanguageModel

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
  func nothingIsSeenBeforeItsTime(name: String, position: Int) throws {
    let model = try model(name)
    for kernels in Kernels.allCases {
      try Kernels.$selected.withValue(kernels) {
        let (before, after) = try withTorch { (model.logits(ids()), model.logits(ids(changing: position))) }
        #expect(try firstDifference(before, after) == position)
      }
    }
  }

  /// Depth k knows, at position t, the targets up to t + k.
  @Test(arguments: ["depths", "everything"], [3, 7, 11])
  func depthsDoNotSeeTheFuture(name: String, position: Int) throws {
    let model = try model(name)
    let (before, after) = try withTorch {
      let state = model.trunk(ids(), in: Pass(length: length, configuration: model.configuration))
      func outputs(_ targets: Tensor) -> [Tensor] {
        model.deeperOutputs(
          from: state, tokens: ids(), targets: targets, in: Pass(length: length, configuration: model.configuration))
      }
      return (outputs(ids()), outputs(ids(changing: position)))
    }
    #expect(before.count == model.configuration.multiTokenPrediction?.depth)
    for (k, (one, other)) in zip(before, after).enumerated() {
      #expect(try firstDifference(one, other) == position - k, "depth \(k)")
    }
  }

  /// The trunk's token at t + 1 reaches depth 0 at t only as a target.
  @Test func depthsReadTheStateOfTheirOwnPosition() throws {
    let model = try model("depths")
    func outputs(_ tokens: Tensor) throws -> [Tensor] {
      try withTorch {
        let pass = Pass(length: length, configuration: model.configuration)
        return model.deeperOutputs(from: model.trunk(tokens, in: pass), tokens: tokens, targets: ids(), in: pass)
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
        let pass = Pass(length: length, configuration: model.configuration)
        let losses = model.losses(ids(), targets: ids(changing: 3), in: pass)
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
      // Routers may send a token elsewhere when its channels are rounded.
      let tolerance = configuration.experts == nil ? 0.03 : 0.3
      #expect(try relativeError(of: found, to: exact) < tolerance, "\(name)")
    }
  }
}
