import Foundation
import TestSupport
import Testing
import WidebandLanguageModel
import WidebandTorch

@testable import WidebandData
@testable import WidebandTraining

struct TrainerTests {
  @Test(arguments: ["plain", "wide"]) func accumulatedRowsAreOneBatch(_ name: String) throws {
    let whole = try TrainerFixture(name).losses(steps: 8)
    for rows in [1, 2] {
      let parts = try TrainerFixture(name, "training.rows_per_batch=\(rows)").losses(steps: 8)
      for (one, other) in zip(whole, parts) { #expect(abs(one - other) <= 1e-5 * one) }
    }
  }

  @Test func aStepSaysWhatItDid() throws {
    let fixture = try TrainerFixture("mixture")
    let trainer = try fixture.trainer()
    let first = try trainer.step()
    #expect(first.number == 1)
    #expect(trainer.stepsTaken == 1)
    #expect(first.losses.map(\.name) == ["total", "next_token", "next_2_token", "next_3_token", "load_balancing"])
    let loss = Dictionary(uniqueKeysWithValues: first.losses.map { ($0.name, $0.value) })
    let parts = try [
      #require(loss["next_token"]), 0.15 * #require(loss["next_2_token"]), 0.15 * #require(loss["next_3_token"]),
      0.01 * #require(loss["load_balancing"]),
    ]
    #expect(try abs(parts.reduce(0, +) - #require(loss["total"])) < 1e-5)
    #expect(first.learningRate == 0.01 / 4)
    #expect(first.gradientNorm > 0)
    // Two layers and two prediction depths, four experts each.
    let loads = try trainer.expertLoads()
    #expect(loads.map(\.count) == [4, 4, 4, 4] || loads.map(\.count) == [4, 4])
    for loads in loads { #expect(abs(loads.reduce(0, +) - 1) < 1e-12) }
  }

  @Test func gradientsLongerThanTheClipAreScaledToIt() throws {
    // Without decay, the moments after one step show the gradient that the optimizer saw.
    let clipped = try TrainerFixture("plain", "optimizer.clip=0.01").trainer()
    let norm = try clipped.step().gradientNorm
    #expect(norm > 0.01)
    let seen = try withTorch {
      try Tensor.stack(
        clipped.optimizer.moments.filter { $0.key.hasPrefix("first_moment.") }.map { $0.value.norm() }
      ).norm().item()
    }
    #expect(abs(seen - 0.1 * 0.01) < 1e-6, "(1 - beta1) times the clip")
  }

  @Test(arguments: ["plain", "wide", "mixture"]) func stopsBeforeTheUpdateWhenTheLossIsNotFinite(_ name: String) throws
  {
    let trainer = try TrainerFixture(name).trainer()
    _ = try trainer.step()
    let poisoned = try #require(trainer.model.weights.tensors["model.layers.1.self_attn.v_proj.weight"])
    try withTorch { withoutGradients { poisoned.fill(.nan) } }
    let weights = try trainer.model.weights.tensors.mapValues {
      try $0.detached().elements(Float.self).map(\.bitPattern)
    }
    let moments = try trainer.optimizer.moments.mapValues { try $0.elements(Float.self) }
    #expect(
      message { _ = try trainer.step() }
        == "step 2: the loss is nan and the gradient norm nan; stopped before the update"
    )
    #expect(trainer.stepsTaken == 1)
    #expect(
      try trainer.model.weights.tensors.mapValues { try $0.detached().elements(Float.self).map(\.bitPattern) }
        == weights)
    #expect(try trainer.optimizer.moments.mapValues { try $0.elements(Float.self) } == moments)
  }

  @Test func evaluationIsTheSameEveryTimeAndChangesNothing() throws {
    let fixture = try TrainerFixture("wide")
    let (quiet, measured) = (try fixture.trainer(), try fixture.trainer())
    let first = try measured.evaluate()
    #expect(try measured.evaluate() == first)
    #expect(first.tokenCount == 256)
    _ = try measured.connectionStatistics()
    for _ in 0..<3 { #expect(try measured.step().losses.map(\.value) == quiet.step().losses.map(\.value)) }
  }

  @Test func aPlainModelHasNoConnectionStatistics() throws {
    #expect(try TrainerFixture("plain").trainer().connectionStatistics() == nil)
    let wide = try #require(try TrainerFixture("wide").trainer().connectionStatistics())
    #expect(wide.largestCarryGain == 1)
  }

  @Test func textShorterThanARowIsRefused() throws {
    let fixture = try TrainerFixture("plain")
    try fixture.folder.write("short.txt", text: "In the beginning")
    _ = try DataPreparation([fixture.folder("short.txt")], encoder: ByteEncoder()).run(into: fixture.folder("short"))
    let train = try TokenDataset(folder: fixture.folder("short"), split: .train)
    #expect(
      message { _ = try Trainer(fixture.recipe, train: train, validation: train) }
        == "\(fixture.folder("short")): the train split has 17 tokens: expected at least 33 for sequences of 32")
  }
}
