import TestSupport
import Testing
import WidebandTorch

@testable import WidebandLanguageModel

/// Layers with activation checkpointing compared to layers without it.
@Suite struct ActivationCheckpointTests {
  /// All losses and expert loads, and all gradients.
  private func results(
    _ model: LanguageModel, recomputes: Bool
  ) throws -> (values: [Tensor], gradients: [String: Tensor]) {
    let random = try RandomTensors(seed: 9)
    return try withTorch {
      let (tokens, targets) = (random.tokens(2, 9, below: 61), random.tokens(2, 9, below: 61))
      let context = ForwardContext(length: 9, configuration: model.configuration)
      context.recomputesLayers = recomputes
      let losses = model.losses(tokens, targets: targets, in: context)
      losses.total.backward()
      let gradients = model.weights.tensors.reduce(into: [String: Tensor]()) { $0[$1.key] = $1.value.gradient }
      for tensor in model.weights.tensors.values { tensor.clearGradient() }
      return (losses.named.map { $0.value.detached() } + context.expertLoads, gradients)
    }
  }

  @Test(arguments: ModelConfiguration.variety.map(\.name), Kernels.allCases)
  func checkpointing_changesNothing(name: String, kernels: Kernels) throws {
    let configuration = try #require(ModelConfiguration.variety.first { $0.name == name }).configuration
    let model = try LanguageModel(configuration, weights: WeightStore(seed: 1))
    for tensor in model.weights.tensors.values { tensor.requiringGradient() }
    try Kernels.$selected.withValue(kernels) {
      let stored = try results(model, recomputes: false)
      let recomputed = try results(model, recomputes: true)
      #expect(stored.values.count == recomputed.values.count)
      for (one, other) in zip(stored.values, recomputed.values) { #expect(try areIdentical(one, other)) }
      #expect(stored.gradients.count == model.weights.tensors.count)
      #expect(Set(stored.gradients.keys) == Set(recomputed.gradients.keys))
      for (name, gradient) in stored.gradients {
        // The gradients of several uses of a weight may be added in another order.
        #expect(try relativeError(of: try #require(recomputed.gradients[name]), to: gradient) < 1e-6, "\(name)")
      }
    }
  }

  @Test func aFrozenEmbeddingDoesNotFreezeTheLayers() throws {
    let model = try LanguageModel(.everything, weights: WeightStore(seed: 1))
    for (name, tensor) in model.weights.tensors where !name.contains("embed") { tensor.requiringGradient() }
    let (stored, recomputed) = try (results(model, recomputes: false), results(model, recomputes: true))
    #expect(stored.gradients["model.layers.0.self_attn.q_proj.weight"] != nil)
    for (name, gradient) in stored.gradients {
      #expect(try relativeError(of: try #require(recomputed.gradients[name]), to: gradient) < 1e-6, "\(name)")
    }
  }

  @Test func aFailureInsideIsReported() throws {
    let text = message { _ = Tensor.ones([2, 3]).recomputing { [$0.reshaped([7])] } }
    #expect(text.hasPrefix("reshape(float32[2, 3], [7]): shape '[7]' is invalid for input of size 6"), "\(text)")
    let later = message {
      nonisolated(unsafe) var runs = 0
      let x = Tensor.ones([2, 3]).requiringGradient()
      let y = x.recomputing { input in
        runs += 1
        return [runs == 1 ? input * 2 : input.reshaped([7])]
      }
      y.first?.sum().backward()
    }
    #expect(later.hasPrefix("reshape(float32[2, 3], [7])"), "\(later)")
  }
}
