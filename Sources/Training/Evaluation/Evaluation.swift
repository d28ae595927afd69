import Foundation
import WidebandData
import WidebandDistributed
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

  /// Evaluates a model. Each rank of a group evaluates its share of the batches, and all have the same result: sums of
  /// each batch are added in the order of the batches, so that it does not depend on the number of ranks.
  ///
  /// - Parameters:
  ///   - model: the model.
  ///   - batches: the data; targets of -100 are left out.
  ///   - byteLengths: the number of bytes of each token's text, `[V]`; tokens of zero bytes, such as the end of a text,
  ///     are left out of the bits per byte.
  ///   - group: the ranks that evaluate the same model together.
  ///   - gate: the gate of direct decoding over the batch of a number, from 0; nil for the ordinary model.
  /// - Throws: `NotFiniteError` if a loss is not finite; the first error of an operator; `DistributedError` if a rank is
  ///   lost.
  public init(
    _ model: LanguageModel, on batches: some RandomAccessCollection<Batch>, byteLengths: Tensor,
    in group: ProcessGroup = ProcessGroup(),
    gate: (_ number: Int, _ batch: Batch) throws -> CycleGate? = { _, _ in nil }
  ) throws {
    let own = try group.share(ofBatches: batches.count).map { number in
      let batch = batches[batches.index(batches.startIndex, offsetBy: number)]
      let gate = try gate(number, batch)
      return try withTorch { try withoutGradients { try Sums(of: batch, model, byteLengths, gate) } }
    }
    var sums = Sums()
    for values in try group.gatherByBatch(own.map(\.values)) { sums += Sums(values: values) }
    let phases = sums.phases.named
    let count = Double(max(1, sums.tokens))
    tokenCount = sums.tokens
    phaseLosses = phases.isEmpty ? nil : Dictionary(uniqueKeysWithValues: phases.map { ($0.name, $0.value) })
    nextTokenLoss = sums.nats / count
    mtpLosses = sums.mtpNats.map { $0 / count }
    bitsPerByte = sums.natsOfText / log(2) / max(1, sums.bytes)
    let mtpValues = mtpLosses.enumerated().map { ("loss of token \($0 + 2)", $1) }
    let phaseValues = (phaseLosses ?? [:]).sorted { $0.key < $1.key }.map { ("loss of \($0)", $1) }
    try NotFiniteError.check(
      [("next-token loss", nextTokenLoss)] + mtpValues + phaseValues + [("number of bits per byte", bitsPerByte)],
      of: "held-out text")
  }
}

/// Sums over the targets of batches.
private struct Sums {
  var nats = 0.0
  /// The nats of the targets that have bytes.
  var natsOfText = 0.0
  var bytes = 0.0
  var tokens = 0
  /// The nats of each prediction depth: its mean losses, weighted by the number of targets.
  var mtpNats: [Double] = []
  var phases = PhaseLosses()

  /// Of no batch.
  init() {}

  init(of batch: Batch, _ model: LanguageModel, _ byteLengths: Tensor, _ gate: CycleGate?) throws {
    let context = batch.context(model.configuration, gate: gate)
    let state = model.trunk(batch.tokens, in: context)
    let positions = TargetLosses(logits: model.logits(of: state), targets: batch.targets, byteLengths: byteLengths)
    if let gate { try phases.add(positions.losses, phases: gate.phases, targets: batch.targets) }
    tokens = Int(try positions.isIgnored.not().sum().item())
    nats = try positions.losses.sum().item()
    natsOfText = try (positions.losses * positions.hasBytes).sum().item()
    bytes = try positions.bytes.sum().item()
    for loss in model.mtpLosses(from: state, tokens: batch.tokens, targets: batch.targets, in: context) {
      mtpNats.append(try loss.item() * Double(tokens))
    }
  }

  /// The sums with these `values`.
  init(values: [Double]) {
    (nats, natsOfText, bytes, tokens) = (values[0], values[1], values[2], Int(values[3]))
    let phasesStart = 5 + Int(values[4])
    mtpNats = Array(values[5..<phasesStart])
    phases = PhaseLosses(values: Array(values[phasesStart...]))
  }

  /// The sums as numbers, for other ranks.
  var values: [Double] {
    [nats, natsOfText, bytes, Double(tokens), Double(mtpNats.count)] + mtpNats + phases.values
  }

  static func += (sums: inout Sums, other: Sums) {
    sums.nats += other.nats
    sums.natsOfText += other.natsOfText
    sums.bytes += other.bytes
    sums.tokens += other.tokens
    sums.mtpNats = sums.mtpNats.isEmpty ? other.mtpNats : zip(sums.mtpNats, other.mtpNats).map(+)
    sums.phases.add(other.phases)
  }
}
