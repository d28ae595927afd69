import Foundation
import WidebandCheckedInput
import WidebandCheckpoint
import WidebandDecoding
import WidebandLanguageModel
import WidebandTorch

/// A comparison of a model's outputs to those of a reference implementation with the same weights, in float32.
///
///     let verification = try Verification(folder)
///     print(verification.passes, verification.worstGradient?.name ?? "-")
///
/// The expected outputs are in the folder's `expected.safetensors`, see `ExpectedOutputs`. The error of an output is
/// the norm of the difference over the norm of the expected output, both in float64; the norm of the difference if the
/// expected output is zero.
public struct Verification: Sendable {
  /// The error of one output.
  public struct Measurement: Sendable {
    /// "logits", "loss.total", or a weight's name.
    public let name: String
    /// The relative error.
    public let error: Double
    /// The maximum error that passes.
    public let tolerance: Double

    /// Whether the error is within the tolerance; false for NaN.
    public var passes: Bool { error <= tolerance }
  }

  /// The comparison of a greedy continuation, decoded with a KV cache.
  public struct Greedy: Sendable {
    /// The cycle length of direct decoding; nil for ordinary decoding.
    public let cycle: Int?
    /// The number of compared tokens.
    public let count: Int
    /// The index of the first token that differs; nil if all are equal.
    public let firstDifference: Int?
  }

  /// The maximum error of logits and losses that passes.
  public static let outputTolerance = 2e-5
  /// The maximum error of a gradient that passes.
  public static let gradientTolerance = 1e-4

  /// The errors of logits and losses, followed by those with a gate.
  public let outputs: [Measurement]
  /// The errors of the gradients of the total loss, for all weights with an expected gradient.
  public let gradients: [Measurement]
  /// The comparisons of greedy continuations: ordinary decoding, then direct decoding.
  public let greedy: [Greedy]

  /// The gradient with the largest error.
  public var worstGradient: Measurement? {
    gradients.first { $0.error.isNaN } ?? gradients.max { $0.error < $1.error }
  }

  /// Whether all errors are within their tolerances and all greedy tokens are equal.
  public var passes: Bool {
    (outputs + gradients).allSatisfy(\.passes) && greedy.allSatisfy { $0.firstDifference == nil }
  }

  /// Verifies the model in the folder at `url` on `device`.
  ///
  /// - Throws: `CheckpointError` or `GenerationError` that names the file if the folder contains no model or no
  ///   expected outputs that fit it.
  public init(_ url: URL, on device: Device = .cpu) throws {
    let folder = ModelFolder(url)
    let source = try ModelSource(folder)
    let configuration = try ModelConfiguration(source)
    let expected = try ExpectedOutputs(folder.url.appending(path: "expected.safetensors"), on: device)
    do {
      let tensors = try source.tensors(configuration)
      let weights = WeightStore(
        stored: tensors, dtype: .float32, mutable: true, on: device,
        adapters: try source.adapters(for: tensors, dtype: .float32, on: device))
      let model = try LanguageModel(configuration, weights: weights)
      let comparison = Comparison(
        model: model, expected: expected, tokens: try expected.ids("tokens", in: model.vocabulary))
      outputs = try [comparison.logits()] + comparison.losses() + comparison.gatedOutputs()
      gradients = try comparison.gradients()
      greedy = try comparison.greedy()
    } catch let error where error is TorchError || error is ConfigurationError {
      throw GenerationError.invalidFile("\(printable(path: folder.url.path)): \(error)")
    }
  }
}

extension LanguageModel {
  /// All token ids.
  fileprivate var vocabulary: Range<Int> { 0..<configuration.vocabularySize }
}

/// A model and its expected outputs.
private struct Comparison {
  let model: LanguageModel
  let expected: ExpectedOutputs
  let tokens: Tensor

  func logits() throws -> Verification.Measurement {
    let found = try withTorch { withoutGradients { model.logits(tokens) } }
    return try measure("logits", found, "logits", Verification.outputTolerance)
  }

  func losses() throws -> [Verification.Measurement] {
    guard !expected.losses.isEmpty else { return [] }
    let found = Dictionary(uniqueKeysWithValues: try withTorch { try withoutGradients { try computeLosses() } }.named)
    return try expected.losses.map { name in
      guard let loss = found[name] else { throw expected.error("tensor 'loss.\(name)' is no loss of this model") }
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

  /// The errors of logits and next-token loss with a gate.
  func gatedOutputs() throws -> [Verification.Measurement] {
    guard expected.has("gate") else { return [] }
    let gate = try expected.ids("gate", in: 0..<2)
    guard gate.shape == tokens.shape else {
      throw expected.error("tensor 'gate' has shape \(gate.shape): expected that of 'tokens', \(tokens.shape)")
    }
    // The gate is open at phase 0, and all other phases are equivalent.
    let phases = try withTorch { (gate .== 0).to(.int64) }
    let cycleGate = try CycleGate(phases: phases, model.configuration)
    func context() -> ForwardContext {
      ForwardContext(length: tokens.size(1), configuration: model.configuration, gate: cycleGate, on: tokens.device)
    }
    let logits = try withTorch { withoutGradients { model.logits(of: model.trunk(tokens, in: context())) } }
    let measured = try measure("gated_logits", logits, "gated_logits", Verification.outputTolerance)
    guard expected.has("gated_loss") else { return [measured] }
    let loss = try withTorch { try withoutGradients { try computeLosses(in: context()).nextToken } }
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
    let found = try model.generate(prompt, options: options).tokens
    let agreeing = zip(found, continuation).prefix { $0 == $1 }.count
    return .init(
      cycle: cycle, count: continuation.count, firstDifference: agreeing == continuation.count ? nil : agreeing)
  }

  /// The expected prompt; if the file has none, the common prefix of the greedy tokens and the first row of `tokens`.
  private func prompt(of reference: [TokenID]) throws -> [TokenID] {
    if expected.has("prompt") { return try expected.rows(expected.ids("prompt", in: model.vocabulary))[0] }
    let row = try expected.rows(tokens)[0]
    return zip(row, reference).prefix { $0 == $1 }.map(\.0)
  }

  private func computeLosses(in context: ForwardContext? = nil) throws -> Losses {
    let targets = try expected.ids("targets", in: model.vocabulary, ignored: -100)
    guard targets.shape == tokens.shape else {
      throw expected.error("tensor 'targets' has shape \(targets.shape): expected that of 'tokens', \(tokens.shape)")
    }
    let ordinary = ForwardContext(length: tokens.size(1), configuration: model.configuration, on: tokens.device)
    return model.losses(tokens, targets: targets, in: context ?? ordinary)
  }

  private func measure(
    _ name: String, _ found: Tensor, _ key: String, _ tolerance: Double
  ) throws -> Verification.Measurement {
    let reference = try expected.tensor(key)
    guard reference.shape == found.shape else {
      throw expected.error("tensor '\(key)' has shape \(reference.shape): the model gives \(found.shape)")
    }
    let (difference, norm) = try withTorch {
      try withoutGradients {
        let exact = reference.to(.float64)
        return (try (found.to(.float64) - exact).norm().item(), try exact.norm().item())
      }
    }
    return .init(name: name, error: norm == 0 ? difference : difference / norm, tolerance: tolerance)
  }
}
