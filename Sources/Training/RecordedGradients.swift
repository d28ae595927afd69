import LanguageModel
import Torch

/// Losses and gradients of batches of one shape, for which a device is told once what to do and then does it again in one
/// go.
///
/// The first batch takes the ordinary way: it takes memory and compiles kernels. Where the work cannot be recorded, all do.
public final class RecordedGradients {
  /// Computes the losses of tokens and targets `[B, T]`, by name, and adds the gradients of what is trained.
  public typealias Work = (_ tokens: Tensor, _ targets: Tensor) throws -> [(name: String, value: Tensor)]

  private let weights: [Tensor]
  private let record: RecordedWork.Recorder
  private let work: Work
  /// Where recorded work finds its tokens and targets.
  private var inputs: (tokens: Tensor, targets: Tensor)?
  private var run: (() throws -> Void)?
  private var losses: [(name: String, value: Tensor)] = []
  private var isPossible = true

  /// Gradients of `weights`, computed by `work` and recorded by `recorder`.
  public init(of weights: [Tensor], recorder: @escaping RecordedWork.Recorder, _ work: @escaping Work) {
    (self.weights, record, self.work) = (weights, recorder, work)
  }

  /// What a model's training step does to rows of text, each on its own.
  public static func work(_ model: LanguageModel, recomputesLayers: Bool) -> Work {
    { tokens, targets in
      let pass = Pass(length: tokens.size(1), configuration: model.configuration, on: tokens.device)
      pass.recomputesLayers = recomputesLayers
      let losses = model.losses(tokens, targets: targets, in: pass)
      losses.total.backward()
      return losses.named
    }
  }

  /// Whether gradients are kept where the recorded work writes them: who uses them must not clear them.
  public var keepsGradients: Bool { run != nil }

  /// The losses of a batch by name, each a tensor of one number that the next batch may overwrite; the gradients are its own
  /// alone.
  public func losses(_ tokens: Tensor, _ targets: Tensor) throws -> [(name: String, value: Tensor)] {
    guard isPossible else { return try work(tokens, targets) }
    guard let inputs, inputs.tokens.shape == tokens.shape else {
      forget()
      inputs = try withTorch { (tokens.cloned(), targets.cloned()) }
      return try work(tokens, targets)
    }
    try withTorch {
      inputs.tokens.copy(from: tokens)
      inputs.targets.copy(from: targets)
    }
    if run == nil {
      run = record(tokens.device) { self.perform(inputs.tokens, inputs.targets) }
      isPossible = run != nil
    }
    guard let run else {
      forget()
      return try work(tokens, targets)
    }
    try run()
    return losses
  }

  private func perform(_ tokens: Tensor, _ targets: Tensor) -> Bool {
    // Gradients that are there would be added to; these are written.
    for weight in weights { weight.clearGradient() }
    guard let found = try? work(tokens, targets) else { return false }
    losses = found.map { ($0.name, $0.value.detached()) }
    return true
  }

  private func forget() {
    run = nil
    for weight in weights { weight.clearGradient() }
  }
}
