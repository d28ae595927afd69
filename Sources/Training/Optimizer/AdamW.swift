import OrderedCollections
import WidebandTorch

/// The AdamW optimizer: gradient moments with bias correction, and decoupled weight decay.
///
/// All first moments share one array in memory, and all second moments another one. Of several processes that train
/// together each has the moments of a part of the array, its shard, and updates the weights there.
///
/// Source: Decoupled Weight Decay Regularization, arXiv 1711.05101, algorithm 2.
public final class AdamW {
  /// The running means of gradients and of squared gradients, by the names `first_moment.NAME` and
  /// `second_moment.NAME`; of a weight that is cut by the end of the shard, those of its part as a row.
  public let moments: OrderedDictionary<String, Tensor>
  /// The same as the arrays of the shard.
  let momentArrays: [Tensor]
  /// The places of the weights in the array.
  let layout: FlatLayout
  /// The part of the array that this optimizer updates.
  let shard: Shard

  private let settings: Recipe.Optimizer
  private let groups: ParameterGroups
  private let rates: LearningRates
  private var stepsTaken: Int
  /// The number of the next step and its learning rate, `[2]` in float32 on the weights' device.
  private let stepAndRate: Tensor

  static let kinds = ["first_moment", "second_moment"]

  /// An optimizer that has taken `step` steps.
  ///
  /// - Parameters:
  ///   - weights: the trained weights by name, which steps update in place.
  ///   - settings: the hyperparameters.
  ///   - step: the number of steps taken.
  ///   - stored: the moments of a checkpoint; nil for zeros.
  /// - Throws: `TorchError` if a stored moment is missing, unexpected, or of another shape.
  public convenience init(
    _ weights: OrderedDictionary<String, Tensor>, _ settings: Recipe.Optimizer, step: Int = 0,
    stored: [String: Tensor]? = nil
  ) throws {
    try self.init(weights, settings, step: step, shard: nil)
    if let stored { try load(.named(stored)) }
  }

  /// An optimizer with moments of zeros.
  ///
  /// - Parameter shard: the part of the weights' array that this optimizer has; nil for all of it.
  init(
    _ weights: OrderedDictionary<String, Tensor>, _ settings: Recipe.Optimizer, step: Int, shard: Shard?
  ) throws {
    self.settings = settings
    groups = ParameterGroups(weights)
    rates = try LearningRates(weights, settings)
    stepsTaken = step
    layout = FlatLayout(weights)
    let (layout, own) = (layout, shard ?? Shard(ranges: [0..<layout.count]))
    self.shard = own
    let device = weights.values.first?.device ?? .cpu
    (stepAndRate, momentArrays, moments) = try withTorch {
      let arrays = Self.kinds.map { _ in Tensor.zeros([own.count], on: device) }
      var moments: OrderedDictionary<String, Tensor> = [:]
      for (name, weight) in weights {
        let pieces = layout.pieces(of: name, in: own)
        guard let first = pieces.first, let last = pieces.last else { continue }
        for (kind, array) in zip(Self.kinds, arrays) {
          let part = array.slice(0, first.ofShard.lowerBound..<last.ofShard.upperBound)
          moments["\(kind).\(name)"] = part.count == weight.count ? part.reshaped(weight.shape) : part
        }
      }
      return (.zeros([2], on: device), arrays, moments)
    }
  }

  /// The Euclidean norm of all gradients together.
  ///
  /// - Throws: `TorchError` if a gradient cannot be read.
  public func gradientNorm() throws -> Double { try optimized(rateFactor: 0).gradientNorm() }

  /// The maximum norm of all gradients together.
  var clip: Double { settings.clip }

  /// Takes one step with the gradients divided by `divisor`, and clears the gradients.
  public func step(learningRate: Double, divisor: Double) {
    step(learningRate: learningRate, divisor: divisor, gradient: nil)
  }

  /// - Parameter gradient: the gradient of the shard as an array; nil for the weights' own.
  func step(learningRate: Double, divisor: Double, gradient: Tensor?) {
    stepsTaken += 1
    let weights = withoutGradients { optimized(rateFactor: learningRate, gradient: gradient) }
    weights.takeAdamWStep(
      stepsTaken, beta1: settings.beta1, beta2: settings.beta2, epsilon: settings.epsilon, divisor: divisor)
    clearGradients()
  }

  /// The trained weights.
  var weights: [(name: String, tensor: Tensor)] { groups.groups.flatMap(\.weights) }

  /// Clears all gradients.
  func clearGradients() { for (_, weight) in weights { weight.clearGradient() } }

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
  private func optimized(rateFactor: Double, gradient: Tensor? = nil) -> [OptimizedWeight] {
    groups.groups.flatMap { group in
      group.weights.flatMap { name, weight in
        layout.pieces(of: name, in: shard).map { piece in
          let isWhole = piece.ofWeight.count == weight.count
          let (first, second) = (momentArrays[0].slice(0, piece.ofShard), momentArrays[1].slice(0, piece.ofShard))
          let part = isWhole ? weight : weight.flattened().slice(0, piece.ofWeight)
          let factors = rates.elementFactors(of: name)
          return OptimizedWeight(
            part, gradient: gradient.map { $0.slice(0, piece.ofShard).reshaped(part.shape) },
            firstMoment: first.reshaped(part.shape), secondMoment: second.reshaped(part.shape),
            learningRate: rateFactor * rates.factor(of: name),
            rateFactors: factors.map { isWhole ? $0 : $0.flattened().slice(0, piece.ofWeight) },
            weightDecay: group.isDecayed ? settings.weightDecay : 0)
        }
      }
    }
  }
}
