import CheckedInput
import Checkpoint
import Foundation
import LanguageModel
import Torch

/// A model folder held against the outputs that a reference gives on the same weights, in float32.
///
///     let verification = try Verification(folder)
///     print(verification.passes, verification.worstGradient?.name ?? "-")
///
/// What the folder's `expected.safetensors` holds is checked, see `ExpectedOutputs`. An error is the norm of the
/// difference over the norm of what was expected, both in float64; where nothing but zero was expected, the norm.
public struct Verification: Sendable {
  /// One output and how far it is off.
  public struct Measurement: Sendable {
    /// "logits", "loss.total", or a weight's name.
    public let name: String
    /// The relative error.
    public let error: Double
    /// The largest error that passes.
    public let tolerance: Double

    /// Whether the error is a number within the tolerance.
    public var passes: Bool { error <= tolerance }
  }

  /// The model's own continuation against the expected one, decoded with a key/value cache.
  public struct Greedy: Sendable {
    /// Tokens of a cycle where it was decoded directly, nil where it was not.
    public let cycle: Int?
    /// Tokens that were compared.
    public let count: Int
    /// How many came before the first that differs; nil if none differs.
    public let firstDifference: Int?
  }

  /// The largest error of logits and losses that passes.
  public static let outputTolerance = 2e-5
  /// The largest error of a gradient that passes.
  public static let gradientTolerance = 1e-4

  /// Logits and losses, the gated ones behind the others.
  public let outputs: [Measurement]
  /// The gradient of the total loss with respect to every weight for which one is expected.
  public let gradients: [Measurement]
  /// The greedy continuations that are expected: the ordinary one, then those decoded directly.
  public let greedy: [Greedy]

  /// The gradient that is furthest off.
  public var worstGradient: Measurement? {
    gradients.first { $0.error.isNaN } ?? gradients.max { $0.error < $1.error }
  }

  /// Whether everything is within its tolerance and all greedy tokens agree.
  public var passes: Bool {
    (outputs + gradients).allSatisfy(\.passes) && greedy.allSatisfy { $0.firstDifference == nil }
  }

  /// Verifies the model in the folder at `url`, computing on `device`.
  ///
  /// - Throws: `CheckpointError` or `GenerationError` naming the file, if the folder holds no model or nothing that the
  ///   model could be held against.
  public init(_ url: URL, on device: Device = .cpu) throws {
    let folder = ModelFolder(url)
    let stored = try StoredModel(folder)
    let configuration = try ModelConfiguration(stored)
    let expected = try ExpectedOutputs(folder.url.appending(path: "expected.safetensors"), on: device)
    do {
      let tensors = try stored.tensors(configuration)
      let weights = WeightStore(
        stored: tensors, dtype: .float32, mutable: true, on: device,
        adapters: try stored.adapters(beside: tensors, dtype: .float32, on: device))
      let model = try LanguageModel(configuration, weights: weights)
      let subject = Subject(model: model, expected: expected, tokens: try expected.ids("tokens", in: model.vocabulary))
      outputs = try [subject.logits()] + subject.losses() + subject.gatedOutputs()
      gradients = try subject.gradients()
      greedy = try subject.greedy()
    } catch let error where error is TorchError || error is ConfigurationError {
      throw GenerationError("\(printable(path: folder.url.path)): \(error)")
    }
  }
}

extension LanguageModel {
  /// The tokens that there are.
  fileprivate var vocabulary: Range<Int> { 0..<configuration.vocabularySize }
}

/// A model and what is expected of it.
private struct Subject {
  let model: LanguageModel
  let expected: ExpectedOutputs
  let tokens: Tensor

  func logits() throws -> Verification.Measurement {
    let ours = try withTorch { withoutGradients { model.logits(tokens) } }
    return try measure("logits", ours, "logits", Verification.outputTolerance)
  }

  func losses() throws -> [Verification.Measurement] {
    guard !expected.losses.isEmpty else { return [] }
    let ours = Dictionary(uniqueKeysWithValues: try withTorch { try withoutGradients { try computeLosses() } }.named)
    return try expected.losses.map { name in
      guard let loss = ours[name] else { throw expected.error("tensor 'loss.\(name)' is no loss of this model") }
      return try measure("loss.\(name)", loss, "loss.\(name)", Verification.outputTolerance)
    }
  }

  func gradients() throws -> [Verification.Measurement] {
    guard !expected.gradients.isEmpty else { return [] }
    let weights = model.weights.tensors
    try withTorch {
      weights.values.forEach { $0.requiringGradient() }
      try computeLosses().total.backward()
      weights.values.forEach { $0.requiringGradient(false) }
    }
    return try expected.gradients.map { name in
      guard let weight = weights[name] else {
        throw expected.error("tensor 'grad.\(name)' belongs to no weight of this model")
      }
      let gradient = try withTorch { weight.gradient ?? .zeros(weight.shape) }
      return try measure(name, gradient, "grad.\(name)", Verification.gradientTolerance)
    }
  }

  /// Logits and the next token's loss with the expected gate.
  func gatedOutputs() throws -> [Verification.Measurement] {
    guard expected.has("gate") else { return [] }
    let gate = try expected.ids("gate", in: 0..<2)
    guard gate.shape == tokens.shape else {
      throw expected.error("tensor 'gate' has shape \(gate.shape): expected that of 'tokens', \(tokens.shape)")
    }
    // Phases matter only in whether they are 0, which is where the gate is open.
    let phases = try withTorch { (gate .== 0).to(.int64) }
    let cycleGate = try CycleGate(phases: phases, model.configuration)
    func pass() -> Pass {
      Pass(length: tokens.size(1), configuration: model.configuration, gate: cycleGate, on: tokens.device)
    }
    let logits = try withTorch { withoutGradients { model.logits(of: model.trunk(tokens, in: pass())) } }
    let measured = try measure("gated_logits", logits, "gated_logits", Verification.outputTolerance)
    guard expected.has("gated_loss") else { return [measured] }
    let loss = try withTorch { try withoutGradients { try computeLosses(in: pass()).nextToken } }
    return [measured, try measure("gated_loss", loss, "gated_loss", Verification.outputTolerance)]
  }

  func greedy() throws -> [Verification.Greedy] {
    let ordinary = expected.has("greedy.plain") ? [try greedy("greedy.plain", cycle: nil)] : []
    return try ordinary + expected.cycles.map { try greedy("greedy.cycle_\($0)", cycle: $0) }
  }

  private func greedy(_ name: String, cycle: Int?) throws -> Verification.Greedy {
    let reference = try expected.rows(expected.ids(name, in: model.vocabulary))[0]
    let prompt = try prompt(of: reference)
    guard !prompt.isEmpty, reference.starts(with: prompt), reference.count > prompt.count else {
      throw expected.error("tensor '\(name)' does not continue 'prompt', or the first row of 'tokens' without one")
    }
    let continuation = reference.dropFirst(prompt.count)
    var options = GenerationOptions()
    options.cycle = cycle
    options.sampling = .greedy
    options.maximumTokens = continuation.count
    let ours = try TokenGeneration(model: model, options: options).run(prompt: prompt).tokens
    let agreeing = zip(ours, continuation).prefix { $0 == $1 }.count
    return .init(
      cycle: cycle, count: continuation.count, firstDifference: agreeing == continuation.count ? nil : agreeing)
  }

  /// The expected prompt; where it is not kept, what the greedy text has in common with the first row of tokens.
  private func prompt(of reference: [Int]) throws -> [Int] {
    if expected.has("prompt") { return try expected.rows(expected.ids("prompt", in: model.vocabulary))[0] }
    let row = try expected.rows(tokens)[0]
    return zip(row, reference).prefix { $0 == $1 }.map(\.0)
  }

  private func computeLosses(in pass: Pass? = nil) throws -> Losses {
    let targets = try expected.ids("targets", in: model.vocabulary, ignored: -100)
    guard targets.shape == tokens.shape else {
      throw expected.error("tensor 'targets' has shape \(targets.shape): expected that of 'tokens', \(tokens.shape)")
    }
    let ordinary = Pass(length: tokens.size(1), configuration: model.configuration, on: tokens.device)
    return model.losses(tokens, targets: targets, in: pass ?? ordinary)
  }

  private func measure(
    _ name: String, _ ours: Tensor, _ key: String, _ tolerance: Double
  ) throws -> Verification.Measurement {
    let reference = try expected.tensor(key)
    guard reference.shape == ours.shape else {
      throw expected.error("tensor '\(key)' has shape \(reference.shape): the model gives \(ours.shape)")
    }
    let (difference, norm) = try withTorch {
      try withoutGradients {
        let exact = reference.to(.float64)
        return (try (ours.to(.float64) - exact).norm().item(), try exact.norm().item())
      }
    }
    return .init(name: name, error: norm == 0 ? difference : difference / norm, tolerance: tolerance)
  }
}
