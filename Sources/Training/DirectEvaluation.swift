import Foundation
import LanguageModel
import Torch

/// What decoding directly costs in quality: held-out text at every cycle length, phase by phase.
///
/// Of plain text the first half of every row is the prompt; of conversations, what comes before each answer. Behind it
/// each token is measured once at every phase, by as many passes
/// as a cycle has tokens, each with cycles that begin one token later. All phases, all cycles and the untuned model
/// are therefore measured on the very same tokens.
public struct DirectEvaluation: Codable, Hashable, Sendable {
  /// What a model makes of the measured tokens.
  public struct Quality: Codable, Hashable, Sendable {
    /// The loss in bits over the bytes that the tokens stand for.
    public let bitsPerByte: Double
    /// The share of tokens to which the model gives the highest probability.
    public let accuracy: Double
  }

  /// One cycle length.
  public struct Cycle: Codable, Hashable, Sendable {
    /// Tokens of a cycle.
    public let cycle: Int
    /// The mean over its phases.
    public let mean: Quality
    /// Each phase, the head first.
    public let phases: [Quality]
    /// The untuned model's bits per byte over this one's: 1 where nothing was lost; nil without an untuned model, and
    /// where this one's are 0.
    public let retention: Double?
    /// This model's accuracy over the untuned one's; nil without one that is ever right.
    public let accuracyRetention: Double?
  }

  /// Each cycle length, in the order asked for.
  public let cycles: [Cycle]
  /// The untuned model, decoded ordinarily.
  public let untuned: Quality?
  /// Tokens that were measured.
  public let tokenCount: Int

  /// Measures a model that has a layer split.
  ///
  /// - Parameters:
  ///   - cycles: tokens of a cycle, any lengths of at least 1; not only those that the model was tuned for.
  ///   - untuned: the model before it was tuned, which is decoded ordinarily.
  ///   - batches: rows of text or of conversations; targets of -100 are left out.
  ///   - byteLengths: bytes that each token stands for, `[V]`; tokens of zero bytes do not count.
  /// - Throws: `ConfigurationError` for a model without a split; `DataError` for cycles that do not fit into half a row;
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
        for (isMeasured, one) in zip(measured, try Sums.positions(untuned, batch, nil, byteLengths)) where isMeasured {
          untunedSums += one
        }
      }
      for (index, cycle) in lengths.enumerated() {
        for delay in 0..<cycle {
          let phases = anchors.indices.map { place in
            anchors[place] < 0
              ? CycleGate.promptPhase
              : CycleGate.phase(of: place % length, anchor: anchors[place] + delay, cycle: cycle)
          }
          let gate = try CycleGate(
            phases: Tensor(phases.map(Int64.init), shape: batch.tokens.shape, on: batch.tokens.device),
            model.configuration)
          let all = try Sums.positions(model, batch, gate, byteLengths)
          for place in all.indices where measured[place] { sums[index][phases[place]] += all[place] }
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

  /// Where the text that each place of a batch belongs to begins to be generated, row after row; -1 in prompts.
  private static func anchors(_ batch: Batch, _ lengths: [Int]) throws -> [Int] {
    let (rows, length) = (batch.tokens.size(0), batch.tokens.size(1))
    let prompt = length / 2
    guard lengths.allSatisfy({ $0 >= 1 }), prompt + (lengths.max() ?? 1) <= length else {
      throw DataError(
        "cycles of \(lengths.map(String.init).joined(separator: ", ")) tokens: "
          + "expected 1 to \(length - prompt), what is left of \(length) tokens behind a prompt of half")
    }
    if let packing = batch.packing { return try packing.anchors.elements(Int64.self).map(Int.init) }
    return (0..<(rows * length)).map { $0 % length < prompt ? -1 : prompt }
  }
}

/// Sums over tokens of text.
private struct Sums {
  var nats = 0.0
  var bytes = 0.0
  var correct = 0.0
  var tokens = 0.0

  var quality: DirectEvaluation.Quality {
    .init(bitsPerByte: nats / log(2) / max(1, bytes), accuracy: correct / max(1, tokens))
  }

  /// What a model makes of each position of a batch, row after row.
  static func positions(
    _ model: LanguageModel, _ batch: Batch, _ gate: CycleGate?, _ byteLengths: Tensor
  ) throws -> [Sums] {
    try withTorch {
      try withoutGradients {
        let logits = model.logits(of: model.trunk(batch.tokens, in: batch.pass(model.configuration, gate: gate)))
        let isIgnored = batch.targets .< 0
        let targets = batch.targets.masked(isIgnored, 0)
        let lengths = byteLengths.rows(targets.flattened()).reshaped(targets.shape).to(.float64).masked(isIgnored, 0)
        let counted = (lengths .> 0).to(.float64)
        let losses = -logits.logSoftmax(-1).gather(targets.unsqueezed(-1), axis: -1).squeezed(-1).to(.float64)
        let hits = (logits.argmax(-1) .== targets).to(.float64)
        let columns = try [losses * counted, lengths, hits * counted, counted].map { try $0.elements(Double.self) }
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
