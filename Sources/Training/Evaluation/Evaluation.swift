import Foundation
import WidebandData
import WidebandLanguageModel
import WidebandTorch

/// The mean losses of a model on held-out data, in nats, and its bits per byte.
///
/// Bits per byte do not depend on the tokenizer, so that models with different tokenizers can be compared.
public struct Evaluation: Codable, Hashable, Sendable {
  /// The mean next-token loss, in nats.
  public let nextTokenLoss: Double
  /// The mean loss of each prediction depth, from the token after the next on, in nats.
  public let mtpLosses: [Double]
  /// The sum of the next-token losses in bits over the number of bytes of the predicted tokens' text.
  public let bitsPerByte: Double
  /// The mean next-token loss of each phase that occurred, by the names `phase_0`, …; nil without a gate.
  public let phaseLosses: [String: Double]?
  /// The number of predicted tokens.
  public let tokenCount: Int

  /// Evaluates a model.
  ///
  /// - Parameters:
  ///   - model: the model.
  ///   - batches: the data; targets of -100 are left out.
  ///   - byteLengths: the number of bytes of each token's text, `[V]`; tokens of zero bytes, such as the end of a text,
  ///     are left out of the bits per byte.
  ///   - gate: the gate of direct decoding over the batch of a number, from 0; nil for the ordinary model.
  /// - Throws: `NotFiniteError` if a loss is not finite; the first error of an operator.
  public init(
    _ model: LanguageModel, on batches: some Sequence<Batch>, byteLengths: Tensor,
    gate: (_ number: Int, _ batch: Batch) throws -> CycleGate? = { _, _ in nil }
  ) throws {
    var nats = 0.0
    var tokens = 0
    var bytes = 0.0
    var natsOfText = 0.0
    var mtpSums: [Double] = []
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
      if mtpSums.isEmpty { mtpSums = Array(repeating: 0, count: sums.mtpLosses.count) }
      for (k, loss) in sums.mtpLosses.enumerated() { mtpSums[k] += loss * Double(sums.tokens) }
    }
    tokenCount = tokens
    phaseLosses =
      phases.named.isEmpty ? nil : Dictionary(uniqueKeysWithValues: phases.named.map { ($0.name, $0.value) })
    nextTokenLoss = nats / Double(max(1, tokens))
    mtpLosses = mtpSums.map { $0 / Double(max(1, tokens)) }
    bitsPerByte = natsOfText / log(2) / max(1, bytes)
    let mtpValues = mtpLosses.enumerated().map { ("loss of token \($0 + 2)", $1) }
    let phaseValues = (phaseLosses ?? [:]).sorted { $0.key < $1.key }.map { ("loss of \($0)", $1) }
    try NotFiniteError.check(
      [("next-token loss", nextTokenLoss)] + mtpValues + phaseValues + [("number of bits per byte", bitsPerByte)],
      of: "held-out text")
  }

  /// The sums over one batch.
  private struct Sums {
    let nats: Double
    /// The nats of the targets that have bytes.
    let natsOfText: Double
    let bytes: Double
    let tokens: Int
    /// The mean loss of each prediction depth.
    let mtpLosses: [Double]
  }

  private static func sums(
    _ model: LanguageModel, _ batch: Batch, _ byteLengths: Tensor, _ gate: CycleGate?, _ phases: inout PhaseLosses
  ) throws -> Sums {
    let context = batch.context(model.configuration, gate: gate)
    let state = model.trunk(batch.tokens, in: context)
    let positions = TargetLosses(logits: model.logits(of: state), targets: batch.targets, byteLengths: byteLengths)
    if let gate { try phases.add(positions.losses, phases: gate.phases, targets: batch.targets) }
    return try Sums(
      nats: positions.losses.sum().item(), natsOfText: (positions.losses * positions.hasBytes).sum().item(),
      bytes: positions.bytes.sum().item(), tokens: Int(positions.isIgnored.not().sum().item()),
      mtpLosses: model.mtpLosses(from: state, tokens: batch.tokens, targets: batch.targets, in: context).map {
        try $0.item()
      })
  }
}
