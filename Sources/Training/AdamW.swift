import OrderedCollections
import Torch

/// AdamW with decoupled weight decay: one fused pass over each weight, its gradient and its two moments.
///
/// Source: Decoupled Weight Decay Regularization, arXiv 1711.05101, algorithm 2.
public final class AdamW {
  /// Running means of gradients and of squared gradients, named `first_moment.NAME` and `second_moment.NAME`.
  public private(set) var moments: OrderedDictionary<String, Tensor> = [:]

  private let settings: Recipe.Optimizer
  private let groups: ParameterGroups
  private let stepCount: Tensor

  /// An optimizer of `weights` that has taken `step` steps.
  ///
  /// - Parameter stored: moments from a checkpoint; nil to start from zero.
  /// - Throws: `TorchError` if a stored moment is missing or has another shape.
  public init(
    _ weights: OrderedDictionary<String, Tensor>, _ settings: Recipe.Optimizer, step: Int = 0,
    stored: [String: Tensor]? = nil
  ) throws {
    self.settings = settings
    groups = ParameterGroups(weights)
    let device = weights.values.first?.device ?? .cpu
    stepCount = Tensor.full([], Double(step), on: device)
    let source = stored.map { WeightStore(stored: $0, mutable: true, on: device) }
    let scope = (source ?? WeightStore(seed: 0, on: device)).root
    for (name, weight) in weights {
      for moment in ["first_moment", "second_moment"] {
        moments["\(moment).\(name)"] = try scope[moment].tensor(name, weight.shape, .zeros)
      }
    }
    try source?.requireNothingLeft()
  }

  /// The Euclidean norm of all gradients together.
  public func gradientNorm() -> Tensor {
    Tensor.stack(weights.map { gradient(of: $0.tensor).norm() }).norm()
  }

  /// Takes one step with the gradients divided by `scale`, and forgets them.
  public func step(learningRate: Double, scale: Double) {
    withoutGradients {
      stepCount.copy(from: stepCount + 1)
      let divisor = Tensor.full([], scale, on: stepCount.device)
      for group in groups.groups {
        update(
          group.weights, learningRate * (group.isConnection ? settings.connectionRate : 1),
          decay: group.isDecayed ? settings.weightDecay : 0, divisor)
      }
    }
    for (_, tensor) in weights { tensor.clearGradient() }
  }

  private var weights: [(name: String, tensor: Tensor)] { groups.groups.flatMap(\.weights) }

  private func update(
    _ group: [(name: String, tensor: Tensor)], _ learningRate: Double, decay: Double, _ divisor: Tensor
  ) {
    Tensor.fusedAdamW(
      weights: group.map(\.tensor), gradients: group.map { gradient(of: $0.tensor) },
      firstMoments: group.compactMap { moments["first_moment.\($0.name)"] },
      secondMoments: group.compactMap { moments["second_moment.\($0.name)"] },
      steps: group.map { _ in stepCount }, learningRate: learningRate, beta1: settings.beta1, beta2: settings.beta2,
      weightDecay: decay, epsilon: settings.epsilon, divisor: divisor)
  }

  /// A weight that nothing depended on in this step has a gradient of zero.
  private func gradient(of weight: Tensor) -> Tensor {
    weight.gradient ?? .zeros(weight.shape, weight.dtype, on: weight.device)
  }
}
