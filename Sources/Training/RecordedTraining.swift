import LanguageModel
import Torch

/// Training steps over batches of one shape, from the embedding to the changed weights, that a device is told once and then
/// does again in one go.
///
/// What changes from step to step, the batch, the step's number and the learning rate, is written to the device before.
/// Whether loss and gradient are finite the device looks at itself: where they are not, its update changes nothing. The
/// first batch takes the ordinary way: it takes memory and compiles kernels. Where the work cannot be recorded, all do.
public final class RecordedTraining {
  /// What a step computed.
  public struct Measured {
    /// The losses by name.
    public let losses: [(name: String, value: Double)]
    /// The norm of all gradients before clipping.
    public let gradientNorm: Double

    /// Whether all of it is; otherwise no weight and no moment was changed.
    public var isFinite: Bool { gradientNorm.isFinite && losses.allSatisfy(\.value.isFinite) }
  }

  private let model: LanguageModel
  private let optimizer: AdamW
  private let recomputesLayers: Bool
  private let record: RecordedWork.Recorder
  /// Where recorded work finds its tokens and targets.
  private var inputs: (tokens: Tensor, targets: Tensor)?
  private var run: (() throws -> Void)?
  /// What the last step computed: its losses by these names, and the gradient's norm behind them.
  private var names: [String] = []
  private var values = Tensor.zeros([0])
  private var isPossible = true

  /// Steps of a model through an optimizer of all that is trained of it.
  public init(
    _ model: LanguageModel, _ optimizer: AdamW, recomputesLayers: Bool, recorder: @escaping RecordedWork.Recorder
  ) {
    (self.model, self.optimizer, self.recomputesLayers, record) = (model, optimizer, recomputesLayers, recorder)
  }

  /// Takes one step with tokens and targets `[B, T]`, unless what it computes is not finite.
  ///
  /// - Throws: `TorchError`.
  public func step(_ tokens: Tensor, _ targets: Tensor, learningRate: Double) throws -> Measured {
    let numbers = try withTorch {
      optimizer.prepareStep(learningRate: learningRate)
      try run(tokens, targets)
      return try values.elements(Double.self)
    }
    let measured = Measured(
      losses: zip(names, numbers).map { ($0, $1) }, gradientNorm: numbers.last ?? .nan)
    if measured.isFinite { optimizer.confirmStep() }
    return measured
  }

  private func run(_ tokens: Tensor, _ targets: Tensor) throws {
    guard isPossible else { return performOnce(tokens, targets) }
    guard let inputs, inputs.tokens.shape == tokens.shape else {
      run = nil
      inputs = (tokens.cloned(), targets.cloned())
      return performOnce(tokens, targets)
    }
    inputs.tokens.copy(from: tokens)
    inputs.targets.copy(from: targets)
    if run == nil {
      run = record(tokens.device) { self.perform(inputs.tokens, inputs.targets) }
      isPossible = run != nil
    }
    guard let run else { return performOnce(tokens, targets) }
    try run()
  }

  private func performOnce(_ tokens: Tensor, _ targets: Tensor) {
    _ = perform(tokens, targets)
    optimizer.clearGradients()
  }

  /// One step, whose numbers lie ready. Gradients are written where they are when it is recorded, and stay there.
  private func perform(_ tokens: Tensor, _ targets: Tensor) -> Bool {
    // Gradients that are there would be added to.
    optimizer.clearGradients()
    let losses = model.gradients(tokens, targets, recomputesLayers: recomputesLayers)
    let norm = optimizer.norm()
    names = losses.map(\.name)
    values = .stack((losses.map(\.value) + [norm]).map { $0.detached().to(.float64) })
    optimizer.takePreparedStep(norm: norm, where: values)
    return true
  }
}

extension LanguageModel {
  /// The losses of rows of text, each row on its own, for tokens and targets `[B, T]`; adds their gradients to those of
  /// what is trained.
  public func gradients(
    _ tokens: Tensor, _ targets: Tensor, recomputesLayers: Bool
  ) -> [(name: String, value: Tensor)] {
    let pass = Pass(length: tokens.size(1), configuration: configuration, on: tokens.device)
    pass.recomputesLayers = recomputesLayers
    let losses = losses(tokens, targets: targets, in: pass)
    losses.total.backward()
    return losses.named
  }
}
