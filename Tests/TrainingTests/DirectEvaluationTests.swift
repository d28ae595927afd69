import Foundation
import TestSupport
import Testing
import WidebandLanguageModel
import WidebandTorch

@testable import WidebandData
@testable import WidebandTraining

struct DirectEvaluationTests {
  private let model: LanguageModel
  private let byteLengths = (0..<61).map { $0 % 5 == 0 ? 0 : Int64($0 % 4 + 1) }
  private let batches = [(3, 0), (1, 4)].map { rows, offset in
    let text = (0..<rows).map { row in (0...12).map { Int64(($0 * $0 * 7 + row * 13 + offset) % 61) } }
    return Batch(
      tokens: Tensor(text.flatMap { $0.dropLast() }, shape: [rows, 12]),
      targets: Tensor(text.flatMap { $0.dropFirst() }, shape: [rows, 12])
    )
  }

  init() throws {
    let configuration = ModelConfiguration.small {
      $0.directDecoding = .init(encodingLayers: 0, decodingLayers: 1, cycle: 4, gate: .add)
    }
    model = try LanguageModel(
      configuration, weights: WeightStore(seed: 5),
      start: .init(embedding: 1, linear: 2, reduce: .random, expand: .random))
  }

  @Test("every token after the prompt is measured at every phase") func phases_measured() throws {
    let evaluation = try DirectEvaluation(
      model, cycles: [1, 3], untuned: model, on: batches, byteLengths: Tensor(byteLengths))
    // The prompt has 6 tokens; the first measured token is the third one after it.
    let places = batches.flatMap { batch in (0..<batch.tokens.size(0)).map { (batch, $0) } }
    var bits = [0.0, 0, 0]
    var bytes = 0.0
    var tokens = 0
    for (batch, row) in places {
      let target = try batch.targets.select(0, row).elements(Int64.self)
      for phase in 0..<3 {
        for position in 8..<12 where byteLengths[Int(target[position])] > 0 {
          let anchor = position - phase - (position - phase - 6) / 3 * 3
          let phases = (0..<12).map { Int64(CycleGate.phase(of: $0, anchor: anchor, cycle: 3)) }
          #expect(phases[position] == Int64(phase))
          let gate = try CycleGate(phases: Tensor(phases, shape: [1, 12]), model.configuration)
          let loss = try withTorch {
            try withoutGradients {
              let context = ForwardContext(length: 12, configuration: model.configuration, gate: gate)
              let state = model.trunk(batch.tokens.slice(0, row..<(row + 1)), in: context)
              let logProbabilities = model.logits(of: state).logSoftmax(-1).select(0, 0).select(0, position)
              return try -logProbabilities.select(0, Int(target[position])).item()
            }
          }
          bits[phase] += loss / log(2)
          if phase == 0 {
            bytes += Double(byteLengths[Int(target[position])])
            tokens += 1
          }
        }
      }
    }
    let cycle = evaluation.cycles[1]
    #expect(cycle.cycle == 3)
    #expect(cycle.phases.count == 3)
    for phase in 0..<3 { #expect(abs(cycle.phases[phase].bitsPerByte - bits[phase] / bytes) < 1e-5) }
    #expect(abs(cycle.mean.bitsPerByte - bits.reduce(0, +) / 3 / bytes) < 1e-5)
    #expect(evaluation.tokenCount == tokens)
    let untuned = try #require(evaluation.untuned)
    #expect(try abs(#require(cycle.retention) - untuned.bitsPerByte / cycle.mean.bitsPerByte) < 1e-12)
  }

  @Test("with a select gate and cycles of one token nothing is lost") func selectGate_cycleOfOne() throws {
    var configuration = model.configuration
    configuration.directDecoding?.gate = .select
    let select = try LanguageModel(
      configuration,
      weights: WeightStore(stored: model.weights.tensors.reduce(into: [:]) { $0[$1.key] = $1.value }, mutable: false))
    let evaluation = try DirectEvaluation(
      select, cycles: [1, 2], untuned: model, on: batches, byteLengths: Tensor(byteLengths))
    #expect(try abs(#require(evaluation.cycles[0].retention) - 1) < 1e-6)
    #expect(evaluation.cycles[0].mean.accuracy == evaluation.untuned?.accuracy)
    #expect(try abs(#require(evaluation.cycles[1].retention) - 1) > 1e-3)
  }

  @Test("cycles longer than half a row are rejected") func cycles_tooLong() throws {
    for cycles in [[1, 7], [0]] {
      #expect(
        message {
          _ = try DirectEvaluation(model, cycles: cycles, on: batches, byteLengths: Tensor(byteLengths))
        }
          == "cycles of \(cycles.map(String.init).joined(separator: ", ")) tokens: "
          + "expected 1 to 6, what is left of 12 tokens after a prompt of half")
    }
  }
}
