import OrderedCollections
import Torch

/// AdamW with decoupled weight decay: one pass over all weights, their gradients and their moments.
///
/// Each kind of moment is one array in memory, of which every weight has a part.
///
/// Source: Decoupled Weight Decay Regularization, arXiv 1711.05101, algorithm 2.
public final class AdamW {
  /// Running means of gradients and of squared gradients, named `first_moment.NAME` and `second_moment.NAME`.
  public let moments: OrderedDictionary<String, Tensor>

  private let settings: Recipe.Optimizer
  private let groups: ParameterGroups
  private var stepsTaken: Int
  /// The step's number and its learning rate where the weights lie, in float32.
  private let numbers: Tensor

  private static let kinds = ["first_moment", "second_moment"]
  /// A weight's part of an array begins at a multiple of so many floats, a cache line.
  private static let alignment = 16

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
    stepsTaken = step
    numbers = try withTorch { .zeros([2], on: weights.values.first?.device ?? .cpu) }
    moments = try withTorch { Self.zeros(of: weights) }
    guard let stored else { return }
    let source = WeightStore(stored: stored, mutable: false)
    for (name, moment) in moments {
      let kept = try source.root.tensor(name, moment.shape, .zeros)
      try withTorch { moment.copy(from: kept) }
    }
    try source.requireNothingLeft()
  }

  private static func zeros(of weights: OrderedDictionary<String, Tensor>) -> OrderedDictionary<String, Tensor> {
    let sizes = weights.values.map { ($0.count + alignment - 1) / alignment * alignment }
    let device = weights.values.first?.device ?? .cpu
    let arrays = kinds.map { _ in Tensor.zeros([sizes.reduce(0, +)], on: device) }
    var moments: OrderedDictionary<String, Tensor> = [:]
    var start = 0
    for ((name, weight), size) in zip(weights, sizes) {
      for (kind, array) in zip(kinds, arrays) {
        moments["\(kind).\(name)"] = array.slice(0, start..<(start + weight.count)).reshaped(weight.shape)
      }
      start += size
    }
    return moments
  }

  /// The Euclidean norm of all gradients together.
  ///
  /// - Throws: `TorchError` if a gradient cannot be read.
  public func gradientNorm() throws -> Double { try optimized(learningRate: 0).gradientNorm() }

  /// Takes one step with the gradients divided by `scale`, and forgets them.
  public func step(learningRate: Double, scale: Double) {
    stepsTaken += 1
    let weights = optimized(learningRate: learningRate)
    weights.takeAdamWStep(
      stepsTaken, beta1: settings.beta1, beta2: settings.beta2, epsilon: settings.epsilon, divisor: scale)
    clearGradients()
  }

  /// Forgets all gradients.
  func clearGradients() {
    for group in groups.groups { for (_, weight) in group.weights { weight.clearGradient() } }
  }

  // One step by operators that can be recorded.

  /// Writes what changes from step to step to where the weights lie.
  func prepareStep(learningRate: Double) {
    numbers.copy(from: Tensor([Float(stepsTaken + 1), Float(learningRate)]))
  }

  /// The norm of all gradients together, one number where they lie.
  func norm() -> Tensor { optimized(learningRate: 1).norm() }

  /// Takes the step that was prepared, its gradients scaled down to the clip where their norm is above it; changes nothing
  /// unless all `values` are finite.
  func takePreparedStep(norm: Tensor, where values: Tensor) {
    let (excess, isFinite) = withoutGradients { (norm * (1 / settings.clip), values.isFinite().min(0)) }
    optimized(learningRate: 1).takeAdamWStep(
      (numbers.select(0, 0), numbers.select(0, 1)), beta1: settings.beta1, beta2: settings.beta2,
      epsilon: settings.epsilon, divisor: excess.masked(excess .< 1, 1), isFinite: isFinite)
  }

  /// Counts the step that was taken.
  func confirmStep() { stepsTaken += 1 }

  private func optimized(learningRate: Double) -> [OptimizedWeight] {
    groups.groups.flatMap { group in
      group.weights.compactMap { name, weight in
        guard let first = moments["first_moment.\(name)"], let second = moments["second_moment.\(name)"] else {
          return nil
        }
        return OptimizedWeight(
          weight, firstMoment: first, secondMoment: second,
          learningRate: learningRate * (group.isConnection ? settings.connectionRate : 1),
          weightDecay: group.isDecayed ? settings.weightDecay : 0)
      }
    }
  }
}
