import WidebandData
import WidebandLanguageModel
import WidebandTorch

/// One training step: forward and backward passes, gradient clipping, and the AdamW update.
///
/// A step is one call of `accumulate` per batch and then one call of `finish`. `GraphTrainingStep` runs the same
/// forward and backward pass in a CUDA graph.
public struct TrainingStep {
  /// The measurements of a step.
  public struct Result {
    /// The losses by name, in nats.
    public let losses: [(name: String, value: Double)]
    /// The norm of all gradients before clipping.
    public let gradientNorm: Double

    /// Whether all losses and the norm are finite. Otherwise the step has changed no weight and no moment.
    public var isFinite: Bool { gradientNorm.isFinite && losses.allSatisfy(\.value.isFinite) }
  }

  let model: LanguageModel
  let optimizer: AdamW
  private let tuning: DirectTuning?
  private let recomputesLayers: Bool

  /// Steps of a model and an optimizer of its trained weights.
  ///
  /// - Parameter recomputesLayers: whether layers use activation checkpointing.
  public init(_ model: LanguageModel, _ optimizer: AdamW, recomputesLayers: Bool) {
    self.init(model, optimizer, tuning: nil, recomputesLayers: recomputesLayers)
  }

  init(_ model: LanguageModel, _ optimizer: AdamW, tuning: DirectTuning?, recomputesLayers: Bool) {
    self.model = model
    self.optimizer = optimizer
    self.tuning = tuning
    self.recomputesLayers = recomputesLayers
  }

  /// Takes one step with one batch, unless its losses or gradients are not finite.
  ///
  /// - Throws: the first error of an operator.
  public func take(_ batch: Batch, learningRate: Double) throws -> Result {
    let losses = try withTorch {
      try accumulate(batch).losses.named.map { (name: $0.name, value: try $0.value.item()) }
    }
    return try finish(losses, learningRate: learningRate)
  }

  /// Forward, backward and AdamW alone, without the gradient norm and without reading a loss: the work that benchmarks
  /// compare with a step of PyTorch.
  ///
  /// - Throws: `TorchError` for operators that fail.
  public func takeWithoutClipping(_ batch: Batch, learningRate: Double) throws {
    try withTorch {
      _ = accumulate(batch)
      optimizer.step(learningRate: learningRate, divisor: 1)
    }
  }

  /// Runs the forward and backward pass of a batch, which adds the gradients of its total loss to those of the trained
  /// weights. Without a tuning it needs no host synchronization, so it can be captured in a CUDA graph.
  ///
  /// - Parameters:
  ///   - gate: the gate of direct decoding; nil for the ordinary model.
  ///   - fractions: the batch's fractions of the step's loss terms; nil if all batches of the step count alike.
  ///   - scale: the factor of the gradients.
  func accumulate(
    _ batch: Batch, gate: CycleGate? = nil, fractions: LossFractions? = nil, scale: Double = 1
  ) -> (losses: Losses, context: ForwardContext) {
    let context = batch.context(model.configuration, gate: gate)
    context.recomputesLayers = recomputesLayers
    var losses =
      tuning?.losses(model, batch, in: context) ?? model.losses(batch.tokens, targets: batch.targets, in: context)
    if let fractions { losses = losses.scaled(by: fractions, model.configuration) }
    (scale == 1 ? losses.total : losses.total * scale).backward()
    return (losses, context)
  }

  /// Clips the accumulated gradients, updates the weights, and clears the gradients, unless the losses or the gradients
  /// are not finite.
  ///
  /// - Parameter losses: the losses of the step by name.
  /// - Throws: the first error of an operator.
  func finish(_ losses: [(name: String, value: Double)], learningRate: Double) throws -> Result {
    let result = Result(losses: losses, gradientNorm: try optimizer.gradientNorm())
    if result.isFinite { try update(result, learningRate: learningRate, gradient: nil) }
    return result
  }

  /// The same with the gradients that all processes have added up.
  ///
  /// - Throws: `DistributedError` if another process is lost; the first error of an operator.
  func finish(
    _ losses: [(name: String, value: Double)], learningRate: Double, exchange: GradientExchange
  ) throws -> Result {
    let result = Result(losses: losses, gradientNorm: try exchange.norm())
    if result.isFinite {
      try update(result, learningRate: learningRate, gradient: exchange.sum)
      try exchange.gather()
    }
    exchange.begin()
    return result
  }

  private func update(_ result: Result, learningRate: Double, gradient: Tensor?) throws {
    let divisor = max(1, result.gradientNorm / optimizer.clip)
    try withTorch { optimizer.step(learningRate: learningRate, divisor: divisor, gradient: gradient) }
  }
}
