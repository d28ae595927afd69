import Foundation
import TestSupport
import Testing
import WidebandDistributed
import WidebandLanguageModel
import WidebandTorch

@testable import WidebandData
@testable import WidebandTraining

struct EvaluationTests {
  private let model: LanguageModel
  /// The number of bytes of each of 61 tokens; 0 for special ones.
  private let byteLengths = (0..<61).map { $0 % 5 == 0 ? 0 : Int64($0 % 4 + 1) }

  init() throws {
    model = try LanguageModel(.small { $0.multiTokenPrediction = .init(depth: 2) }, weights: WeightStore(seed: 5))
  }

  /// Rows of tokens and what follows them, `[B, 9]`, different for every `offset`.
  private func batch(rows: Int, offset: Int) -> Batch {
    let length = 9
    let text = (0..<rows).map { row in (0...length).map { Int64(($0 * $0 * 7 + row * 13 + offset) % 61) } }
    return Batch(
      tokens: Tensor(text.flatMap { $0.dropLast() }, shape: [rows, length]),
      targets: Tensor(text.flatMap { $0.dropFirst() }, shape: [rows, length]))
  }

  /// −log p of each target, in float64, from the model's logits.
  private func losses(_ batch: Batch) throws -> [(target: Int, loss: Double)] {
    let logits = try withTorch {
      try withoutGradients { try model.logits(batch.tokens).to(.float64).elements(Double.self) }
    }
    return try batch.targets.elements(Int64.self).enumerated().map { position, target in
      let row = logits[(position * 61)..<((position + 1) * 61)]
      let peak = row.max() ?? 0
      let total = row.reduce(0) { $0 + exp($1 - peak) }
      return (Int(target), log(total) + peak - row[row.startIndex + Int(target)])
    }
  }

  @Test func agreesWithACountByHand() throws {
    let batches = [batch(rows: 3, offset: 0), batch(rows: 1, offset: 4)]
    let evaluation = try Evaluation(model, on: batches, byteLengths: Tensor(byteLengths))
    let all = try batches.flatMap(losses)
    #expect(evaluation.tokenCount == 36)
    let mean = all.reduce(0) { $0 + $1.loss } / 36
    #expect(abs(evaluation.nextTokenLoss - mean) < 1e-6)

    let text = all.filter { byteLengths[$0.target] > 0 }
    #expect(text.count < all.count, "some targets are special")
    let bytes = text.reduce(0) { $0 + byteLengths[$1.target] }
    let bits = text.reduce(0) { $0 + $1.loss } / log(2) / Double(bytes)
    #expect(abs(evaluation.bitsPerByte - bits) < 1e-6)
  }

  @Test("the losses of prediction depths are weighted by the number of rows") func mtpLosses_weighted() throws {
    let batches = [batch(rows: 3, offset: 0), batch(rows: 1, offset: 4)]
    let evaluation = try Evaluation(model, on: batches, byteLengths: Tensor(byteLengths))
    let parts = try batches.map { batch in
      try withTorch {
        try withoutGradients {
          let context = ForwardContext(length: 9, configuration: model.configuration)
          return try model.losses(batch.tokens, targets: batch.targets, in: context).mtp.map { try $0.item() }
        }
      }
    }
    #expect(evaluation.mtpLosses.count == 2)
    for (k, loss) in evaluation.mtpLosses.enumerated() {
      #expect(abs(loss - (3 * parts[0][k] + parts[1][k]) / 4) < 1e-6)
    }
  }

  @Test("each rank evaluates every W-th batch, and all have the same result", arguments: 1...4)
  func batches_sharedOut(size: Int) throws {
    nonisolated(unsafe) let test = self
    @Sendable func batches() -> [Batch] { (0..<5).map { test.batch(rows: 1 + $0 % 3, offset: $0) } }
    let alone = try Evaluation(model, on: batches(), byteLengths: Tensor(byteLengths))
    try ProcessGroup.threads(size) { group in
      var seen: [Int] = []
      let evaluation = try Evaluation(test.model, on: batches(), byteLengths: Tensor(test.byteLengths), in: group) {
        number, _ in
        seen.append(number)
        return nil
      }
      #expect(seen == (0..<5).filter { $0 % size == group.rank })
      #expect(evaluation == alone)
    }
  }

  @Test("an evaluation computes no gradients") func gradients_afterEvaluation() throws {
    model.weights.tensors.values.forEach { $0.requiringGradient() }
    _ = try Evaluation(model, on: [batch(rows: 1, offset: 0)], byteLengths: Tensor(byteLengths))
    #expect(model.weights.tensors.values.allSatisfy { $0.gradient == nil })
  }
}
