import OrderedCollections
import WidebandTorch

/// The AdamW optimizer: gradient moments with bias correction, and decoupled weight decay.
///
/// All first moments share one array in memory, and all second moments another one.
///
/// Source: Decoupled Weight Decay Regularization, arXiv 1711.05101, algorithm 2.
public final class AdamW {
  /// The running means of gradients and of squared gradients, by the names `first_moment.NAME` and
  /// `second_moment.NAME`.
  public let moments: OrderedDictionary<String, Tensor>

  private let settings: Recipe.Optimizer
  private let groups: ParameterGroups
  private var stepsTaken: Int
  /// The number of the next step and its learning rate, `[2]` in float32 on the weights' device.
  private let stepAndRate: Tensor

  private static let kinds = ["first_moment", "second_moment"]
  /// The alignment of a weight's part of an array in floats: a cache line.
  private static let alignment = 16

  /// An optimizer that has taken `step` steps.
  ///
  /// - Parameters:
  ///   - weights: the trained weights by name, which steps update in place.
  ///   - settings: the hyperparameters.
  ///   - step: the number of steps taken.
  ///   - stored: the moments of a checkpoint; nil for zeros.
  /// - Throws: `TorchError` if a stored moment is missing, unexpected, or of another shape.
  public init(
    _ weights: OrderedDictionary<String, Tensor>, _ settings: Recipe.Optimizer, step: Int = 0,
    stored: [String: Tensor]? = nil
  ) throws {
    self.settings = settings
    groups = ParameterGroups(weights)
    stepsTaken = step
    stepAndRate = try withTorch { .zeros([2], on: weights.values.first?.device ?? .cpu) }
    moments = try withTorch { Self.zeros(of: weights) }
    guard let stored else { return }
    let source = WeightStore(stored: stored, mutable: false)
    for (name, moment) in moments {
      let values = try source.root.tensor(name, moment.shape, .zeros)
      try withTorch { moment.copy(from: values) }
    }
    try source.requireNothingLeft()
  }

  /// Moments of zeros for all weights.
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
  public func gradientNorm() throws -> Double { try optimized(rateFactor: 0).gradientNorm() }

  /// The maximum norm of all gradients together.
  var clip: Double { settings.clip }

  /// Takes one step with the gradients divided by `divisor`, and clears the gradients.
  public func step(learningRate: Double, divisor: Double) {
    stepsTaken += 1
    let weights = optimized(rateFactor: learningRate)
    weights.takeAdamWStep(
      stepsTaken, beta1: settings.beta1, beta2: settings.beta2, epsilon: settings.epsilon, divisor: divisor)
    clearGradients()
  }

  /// Clears all gradients.
  func clearGradients() {
    for group in groups.groups { for (_, weight) in group.weights { weight.clearGradient() } }
  }

  // One step in parts that can be captured in a CUDA graph.

  /// Writes the number and the learning rate of the next step to the device.
  func prepareStep(learningRate: Double) {
    stepAndRate.copy(from: Tensor([Float(stepsTaken + 1), Float(learningRate)]))
  }

  /// The norm of all gradients together as a scalar tensor on their device.
  func norm() -> Tensor { optimized(rateFactor: 1).norm() }

  /// Takes the prepared step with gradients clipped to the maximum norm; changes nothing unless all `values` are
  /// finite.
  ///
  /// - Parameter norm: the norm of all gradients together.
  func takePreparedStep(norm: Tensor, ifFinite values: Tensor) {
    let (excess, isFinite) = withoutGradients { (norm * (1 / settings.clip), values.isFinite().min(0)) }
    optimized(rateFactor: 1).takeAdamWStep(
      stepAndRate.select(0, 0), rate: stepAndRate.select(0, 1), beta1: settings.beta1, beta2: settings.beta2,
      epsilon: settings.epsilon, divisor: excess.maskedFill(excess .< 1, 1), isFinite: isFinite)
  }

  /// Counts the prepared step as taken.
  func commitStep() { stepsTaken += 1 }

  /// All weights with their moments, their learning rates multiplied by `rateFactor`: the learning rate, or 1 where the
  /// device has it.
  private func optimized(rateFactor: Double) -> [OptimizedWeight] {
    groups.groups.flatMap { group in
      group.weights.compactMap { name, weight in
        guard let first = moments["first_moment.\(name)"], let second = moments["second_moment.\(name)"] else {
          return nil
        }
        return OptimizedWeight(
          weight, firstMoment: first, secondMoment: second,
          learningRate: rateFactor * (group.isConnection ? settings.connectionRate : 1),
          weightDecay: group.isDecayed ? settings.weightDecay : 0)
      }
    }
  }
}
