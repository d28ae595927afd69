import WidebandData
import WidebandLanguageModel
import WidebandTorch

/// Training steps in a CUDA graph: forward and backward pass, clipping and the update of batches of one shape are
/// captured once and then replayed with one launch.
///
/// The inputs of a step, which are the batch, the step's number and the learning rate, are written to the device
/// before. The device itself checks that losses and gradients are finite; otherwise the update changes nothing. The
/// first step of each shape runs without a graph, as it allocates memory and compiles kernels. If capturing fails, all
/// steps run without a graph.
public final class GraphTrainingStep {
  private let step: TrainingStep
  private let capture: CUDAGraph.Capturer
  /// The tensors from which the graph reads tokens and targets.
  private var inputs: (tokens: Tensor, targets: Tensor)?
  private var replay: (() throws -> Void)?
  private var isCapturable = true
  private var lossNames: [String] = []
  /// The results of the last step on the device, in float64: the losses, then the norm of the gradients.
  private var results = Tensor.zeros([0])

  /// Graph steps of a model and an optimizer.
  ///
  /// - Parameters:
  ///   - step: the step that is captured.
  ///   - capture: captures work in a graph, see `CUDAGraph`.
  public init(_ step: TrainingStep, capture: @escaping CUDAGraph.Capturer) {
    (self.step, self.capture) = (step, capture)
  }

  /// Takes one step with tokens and targets `[B, T]`, unless its losses or gradients are not finite.
  ///
  /// - Throws: `TorchError` if an operator or the device fails.
  public func take(_ tokens: Tensor, _ targets: Tensor, learningRate: Double) throws -> TrainingStep.Result {
    let values = try withTorch {
      step.optimizer.prepareStep(learningRate: learningRate)
      try run(tokens, targets)
      return try results.elements(Double.self)
    }
    let result = TrainingStep.Result(
      losses: zip(lossNames, values).map { ($0, $1) }, gradientNorm: values.last ?? .nan)
    if result.isFinite { step.optimizer.commitStep() }
    return result
  }

  private func run(_ tokens: Tensor, _ targets: Tensor) throws {
    guard isCapturable else { return runWithoutGraph(tokens, targets) }
    guard let inputs, inputs.tokens.shape == tokens.shape else {
      replay = nil
      inputs = (tokens.cloned(), targets.cloned())
      return runWithoutGraph(tokens, targets)
    }
    inputs.tokens.copy(from: tokens)
    inputs.targets.copy(from: targets)
    if replay == nil {
      replay = capture(tokens.device) {
        self.enqueue(inputs.tokens, inputs.targets)
        return true
      }
      isCapturable = replay != nil
    }
    guard let replay else { return runWithoutGraph(tokens, targets) }
    try replay()
  }

  private func runWithoutGraph(_ tokens: Tensor, _ targets: Tensor) {
    enqueue(tokens, targets)
    step.optimizer.clearGradients()
  }

  /// Enqueues one step on the device. A captured step writes its gradients to the same memory at every replay, so they
  /// are not released.
  private func enqueue(_ tokens: Tensor, _ targets: Tensor) {
    // The backward pass would add to existing gradients.
    step.optimizer.clearGradients()
    let losses = step.accumulate(Batch(tokens: tokens, targets: targets)).losses.named
    let norm = step.optimizer.norm()
    lossNames = losses.map(\.name)
    results = .stack((losses.map(\.value) + [norm]).map { $0.detached().to(.float64) })
    step.optimizer.takePreparedStep(norm: norm, ifFinite: results)
  }
}
