import Foundation
import LanguageModel
import Torch

/// What a model makes of held-out text: mean losses in nats, and bits per byte of the text itself.
///
/// Bits per byte do not depend on the tokenizer, so that models with different ones can be compared.
public struct Evaluation: Codable, Hashable, Sendable {
  /// The mean loss of the next token.
  public let nextTokenLoss: Double
  /// The mean loss of each prediction depth: the token after the next first.
  public let deeperLosses: [Double]
  /// The next-token loss in bits over the bytes that the predicted tokens stand for.
  public let bitsPerByte: Double
  /// The mean next-token loss of each phase that occurred, by name; nil where nothing was gated.
  public let phaseLosses: [String: Double]?
  /// Tokens that were predicted.
  public let tokenCount: Int

  /// Measures a model on rows of tokens.
  ///
  /// - Parameters:
  ///   - batches: rows of tokens; targets of -100 are left out of everything.
  ///   - byteLengths: bytes that each token stands for, `[V]`; tokens of zero bytes, such as the end of a text, do
  ///     not count.
  ///   - gate: the gate over a batch, which may depend on its number; nil for the ordinary model.
  /// - Throws: `NotFiniteError` if a loss is not finite; the first error of an operator.
  public init(
    _ model: LanguageModel, on batches: some Sequence<Batch>, byteLengths: Tensor,
    gate: (_ number: Int, _ batch: Batch) throws -> CycleGate? = { _, _ in nil }
  ) throws {
    var nats = 0.0
    var tokens = 0
    var bytes = 0.0
    var natsOfText = 0.0
    var deeper: [Double] = []
    var phases = PhaseLosses()
    for (number, batch) in batches.enumerated() {
      let cycleGate = try gate(number, batch)
      let sums = try withTorch {
        try withoutGradients { try Self.sums(model, batch, byteLengths, cycleGate, &phases) }
      }
      nats += sums.nats
      natsOfText += sums.natsOfText
      bytes += sums.bytes
      tokens += sums.tokens
      if deeper.isEmpty { deeper = Array(repeating: 0, count: sums.deeper.count) }
      for (k, loss) in sums.deeper.enumerated() { deeper[k] += loss * Double(sums.tokens) }
    }
    tokenCount = tokens
    phaseLosses =
      phases.named.isEmpty ? nil : Dictionary(uniqueKeysWithValues: phases.named.map { ($0.name, $0.value) })
    nextTokenLoss = nats / Double(max(1, tokens))
    deeperLosses = deeper.map { $0 / Double(max(1, tokens)) }
    bitsPerByte = natsOfText / log(2) / max(1, bytes)
    let deeperValues = deeperLosses.enumerated().map { ("loss of token \($0 + 2)", $1) }
    let phaseValues = (phaseLosses ?? [:]).sorted { $0.key < $1.key }.map { ("loss of \($0)", $1) }
    try NotFiniteError.check(
      [("next-token loss", nextTokenLoss)] + deeperValues + phaseValues + [("number of bits per byte", bitsPerByte)],
      of: "held-out text")
  }

  private struct Sums {
    let nats: Double
    let natsOfText: Double
    let bytes: Double
    let tokens: Int
    let deeper: [Double]
  }

  private static func sums(
    _ model: LanguageModel, _ batch: Batch, _ byteLengths: Tensor, _ gate: CycleGate?, _ phases: inout PhaseLosses
  ) throws -> Sums {
    let pass = batch.pass(model.configuration, gate: gate)
    let state = model.trunk(batch.tokens, in: pass)
    let scores = model.logits(of: state).logSoftmax(-1)
    let isIgnored = batch.targets .< 0
    let targets = batch.targets.masked(isIgnored, 0)
    let losses = -scores.gather(targets.unsqueezed(-1), axis: -1).squeezed(-1).to(.float64).masked(isIgnored, 0)
    if let gate { try phases.add(losses, phases: gate.phases, targets: batch.targets) }
    let lengths = byteLengths.rows(targets.flattened()).reshaped(targets.shape).to(.float64).masked(isIgnored, 0)
    let counted = (lengths .> 0).to(.float64)
    return try Sums(
      nats: losses.sum().item(), natsOfText: (losses * counted).sum().item(), bytes: lengths.sum().item(),
      tokens: Int(isIgnored.not().sum().item()),
      deeper: model.deeperLosses(from: state, tokens: batch.tokens, targets: batch.targets, in: pass).map {
        try $0.item()
      })
  }
}
