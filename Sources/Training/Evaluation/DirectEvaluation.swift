import Foundation
import WidebandData
import WidebandLanguageModel
import WidebandTorch

/// The quality of direct decoding on held-out data, by cycle length and phase.
///
/// The prompt is the first half of each row of plain text, or all that comes before an answer of a conversation. Every
/// token after it is measured once at every phase. A cycle length of c tokens takes c passes; in each pass all cycles
/// begin one token later than in the pass before. Thus all phases, all cycle lengths and the untuned model are measured
/// on the same tokens.
public struct DirectEvaluation: Codable, Hashable, Sendable {
  /// The quality of a model's predictions.
  public struct Quality: Codable, Hashable, Sendable {
    /// The sum of the losses in bits over the number of bytes of the tokens' text.
    public let bitsPerByte: Double
    /// The fraction of tokens that have the highest probability.
    public let accuracy: Double
  }

  /// The quality at one cycle length.
  public struct Cycle: Codable, Hashable, Sendable {
    /// The number of tokens of a cycle.
    public let cycle: Int
    /// The mean over all phases.
    public let mean: Quality
    /// The quality at each phase, from the cycle head on.
    public let phases: [Quality]
    /// The untuned model's bits per byte over this model's: 1 if nothing is lost. Nil without an untuned model, or if
    /// this model has 0 bits per byte.
    public let retention: Double?
    /// This model's accuracy over the untuned model's; nil without an untuned model, or if its accuracy is 0.
    public let accuracyRetention: Double?
  }

  /// The cycle lengths, in the given order.
  public let cycles: [Cycle]
  /// The quality of the untuned model, decoded one token at a time.
  public let untuned: Quality?
  /// The number of measured tokens.
  public let tokenCount: Int

  /// Evaluates a model that has a layer split.
  ///
  /// - Parameters:
  ///   - model: the model.
  ///   - lengths: the cycle lengths, each at least 1; the model need not be tuned for them.
  ///   - untuned: the model before tuning, if any, which is decoded one token at a time.
  ///   - batches: the data; targets of -100 are left out.
  ///   - byteLengths: the number of bytes of each token's text, `[V]`; tokens of zero bytes are left out.
  /// - Throws: `ConfigurationError` for a model without a split; `DataError` for cycles longer than half a row;
  ///   `NotFiniteError` if a loss is not finite.
  public init(
    _ model: LanguageModel, cycles lengths: [Int], untuned: LanguageModel? = nil,
    on batches: some Sequence<Batch>, byteLengths: Tensor
  ) throws {
    let longest = lengths.max() ?? 1
    var untunedSums = Sums()
    var sums = lengths.map { Array(repeating: Sums(), count: max(0, $0)) }
    for batch in batches {
      let length = batch.tokens.size(1)
      let anchors = try Self.anchors(batch, lengths)
      let measured = anchors.indices.map { anchors[$0] >= 0 && $0 % length - anchors[$0] >= longest - 1 }
      if let untuned {
        for (isMeasured, position) in zip(measured, try Sums.positions(untuned, batch, nil, byteLengths))
        where isMeasured {
          untunedSums += position
        }
      }
      for (index, cycle) in lengths.enumerated() {
        for delay in 0..<cycle {
          let delayed = anchors.map { $0 < 0 ? $0 : $0 + delay }
          let phases = CycleGate.phases(anchors: delayed, length: length) { _ in cycle }
          let gate = try CycleGate(phases: phases, like: batch.tokens, model.configuration)
          let positions = try Sums.positions(model, batch, gate, byteLengths)
          for place in positions.indices where measured[place] { sums[index][phases[place]] += positions[place] }
        }
      }
    }
    let reference = untuned == nil ? nil : untunedSums.quality
    self.untuned = reference
    tokenCount = Int(sums.first?.reduce(0) { $0 + $1.tokens } ?? 0)
    cycles = zip(lengths, sums).map { cycle, phases in
      let mean = phases.reduce(into: Sums()) { $0 += $1 }.quality
      return Cycle(
        cycle: cycle, mean: mean, phases: phases.map(\.quality),
        retention: reference.flatMap { mean.bitsPerByte > 0 ? $0.bitsPerByte / mean.bitsPerByte : nil },
        accuracyRetention: reference.flatMap { $0.accuracy > 0 ? mean.accuracy / $0.accuracy : nil })
    }
    let named = cycles.flatMap { cycle in
      cycle.phases.enumerated().map { ("number of bits per byte at phase \($0) of \(cycle.cycle)", $1.bitsPerByte) }
    }
    try NotFiniteError.check(
      named + (reference.map { [("untuned model's number of bits per byte", $0.bitsPerByte)] } ?? []),
      of: "held-out text")
  }

  /// For each token, row after row, the position in its row at which the text after the prompt begins; -1 in prompts.
  private static func anchors(_ batch: Batch, _ lengths: [Int]) throws -> [Int] {
    let (rows, length) = (batch.tokens.size(0), batch.tokens.size(1))
    let prompt = length / 2
    guard lengths.allSatisfy({ $0 >= 1 }), prompt + (lengths.max() ?? 1) <= length else {
      throw DataError.invalidArgument(
        "cycles of \(lengths.map(String.init).joined(separator: ", ")) tokens: "
          + "expected 1 to \(length - prompt), what is left of \(length) tokens after a prompt of half")
    }
    if let packing = batch.packing { return try packing.anchors.elements(Int64.self).map(Int.init) }
    return (0..<(rows * length)).map { $0 % length < prompt ? -1 : prompt }
  }
}

/// Sums over tokens.
private struct Sums {
  var nats = 0.0
  var bytes = 0.0
  var correct = 0.0
  var tokens = 0.0

  var quality: DirectEvaluation.Quality {
    .init(bitsPerByte: nats / log(2) / max(1, bytes), accuracy: correct / max(1, tokens))
  }

  /// The terms of each position of a batch, row after row.
  static func positions(
    _ model: LanguageModel, _ batch: Batch, _ gate: CycleGate?, _ byteLengths: Tensor
  ) throws -> [Sums] {
    try withTorch {
      try withoutGradients {
        let logits = model.logits(of: model.trunk(batch.tokens, in: batch.context(model.configuration, gate: gate)))
        let positions = TargetLosses(logits: logits, targets: batch.targets, byteLengths: byteLengths)
        let isCorrect = (logits.argmax(-1) .== positions.targets).to(.float64)
        let columns = try [
          positions.losses * positions.hasBytes, positions.bytes, isCorrect * positions.hasBytes, positions.hasBytes,
        ].map { try $0.elements(Double.self) }
        return columns[0].indices.map {
          Sums(nats: columns[0][$0], bytes: columns[1][$0], correct: columns[2][$0], tokens: columns[3][$0])
        }
      }
    }
  }

  static func += (sums: inout Sums, other: Sums) {
    sums.nats += other.nats
    sums.bytes += other.bytes
    sums.correct += other.correct
    sums.tokens += other.tokens
  }
}
