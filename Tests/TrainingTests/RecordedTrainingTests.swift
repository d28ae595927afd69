import TestSupport
import Testing
import Torch

@testable import Training

/// Training steps that are recorded once, with a stand-in for the GPU: what it recorded is done again by the processor.
@Suite struct RecordedTrainingTests {
  @Test(arguments: [("plain", []), ("wide", []), ("wide", ["training.activation_checkpointing=true"])])
  func recordedStepsAreTheOrdinaryOnes(name: String, changes: [String]) throws {
    // Clipped where the norm is above the clip, and with a learning rate that changes every step.
    let fixture = try TrainerFixture(
      in: TemporaryFolder(), name, changes + ["optimizer.clip=0.6", "schedule.warmup_steps=4"])
    let (ordinary, unrecorded, recorded) = (try fixture.trainer(), try fixture.trainer(), try fixture.trainer())
    let (recorder, refusing) = (StandInRecorder(), StandInRecorder(refuses: true))
    recorded.recordSteps(with: recorder.record)
    unrecorded.recordSteps(with: refusing.record)
    var norms: [Double] = []
    for step in 1...6 {
      let (expected, same, found) = (try ordinary.step(), try unrecorded.step(), try recorded.step())
      #expect(found.number == step && found.learningRate == expected.learningRate)
      #expect(found.losses.map(\.name) == expected.losses.map(\.name))
      for (one, other) in zip(found.losses, expected.losses) {
        #expect(abs(one.value - other.value) < 2e-5 * abs(other.value), "step \(step)")
      }
      #expect(abs(found.gradientNorm - expected.gradientNorm) < 1e-3 * expected.gradientNorm)
      norms.append(found.gradientNorm)
      // What is recorded is what is done once, to the bit.
      #expect(found.losses.map(\.value) == same.losses.map(\.value) && found.gradientNorm == same.gradientNorm)
      #expect(try recorded.evaluate() == unrecorded.evaluate())
      // Where recorded work writes gradients, they stay.
      #expect(recorded.model.weights.tensors.values.allSatisfy { ($0.gradient != nil) == (step > 1) })
    }
    #expect(norms.contains { $0 > 0.65 } && norms.contains { $0 < 0.58 }, "\(norms)")
    #expect(recorder.records == 1 && recorder.runs == 5)
    #expect(refusing.records == 1 && refusing.runs == 0)
    #expect(try weights(of: recorded) == weights(of: unrecorded))
    #expect(try moments(of: recorded) == moments(of: unrecorded))
    for (name, moment) in ordinary.optimizer.moments {
      let other = try #require(recorded.optimizer.moments[name])
      #expect(try relativeError(of: other, to: moment) < 1e-3, "\(name)")
    }
  }

  @Test func weightsFollowTheFormulaOfOrdinarySteps() throws {
    // From the same gradients, one step in the two ways: to rounding alone.
    let fixture = try TrainerFixture("wide", "schedule.warmup_steps=0", "optimizer.clip=0.5")
    let (ordinary, recorded) = (try fixture.trainer(), try fixture.trainer())
    recorded.recordSteps(with: StandInRecorder().record)
    _ = (try ordinary.step(), try recorded.step())
    for (name, weight) in ordinary.model.weights.tensors {
      let other = try #require(recorded.model.weights.tensors[name])
      #expect(try relativeError(of: other.detached(), to: weight.detached()) < 1e-5, "\(name)")
    }
  }

  @Test(arguments: [0, 1, 4]) func whatIsNotFiniteChangesNothing(steps: Int) throws {
    let trainer = try TrainerFixture("wide").trainer()
    let recorder = StandInRecorder()
    trainer.recordSteps(with: recorder.record)
    for _ in 0..<steps { _ = try trainer.step() }
    let poisoned = try #require(trainer.model.weights.tensors["model.layers.1.self_attn.v_proj.weight"])
    try withTorch { withoutGradients { poisoned.fill(.nan) } }
    let (weights, moments) = (try weights(of: trainer), try moments(of: trainer))
    for _ in 0..<2 {
      #expect(
        message { _ = try trainer.step() }
          == "step \(steps + 1): the loss is nan and the gradient norm nan; stopped before the update")
    }
    #expect(trainer.stepsTaken == steps)
    #expect(try self.weights(of: trainer) == weights)
    #expect(try self.moments(of: trainer) == moments)
    #expect(recorder.runs == steps + 1)
  }

  @Test func batchesOfAnotherShapeAreRecordedAnew() throws {
    let trainer = try TrainerFixture("plain").trainer()
    let recorder = StandInRecorder()
    let recorded = RecordedTraining(
      trainer.model, trainer.optimizer, recomputesLayers: false, recorder: recorder.record)
    func step(_ rows: Int) throws -> Double {
      let tokens = try withTorch { Tensor.full([rows, 8], 5, .int64) }
      return try #require(try recorded.step(tokens, tokens, learningRate: 1e-2).losses.first).value
    }
    let losses = try [2, 2, 2, 3, 3, 2, 2].map(step)
    #expect(recorder.records == 3 && recorder.runs == 4)
    // Rows that are alike give one loss, whatever their number: it falls step by step.
    #expect(zip(losses, losses.dropFirst()).allSatisfy { $0 > $1 })
  }

  @Test func stepsThatDifferAreNotRecorded() throws {
    for (name, changes) in [("mixture", []), ("plain", ["training.rows_per_batch=1"])] {
      let trainer = try TrainerFixture(in: TemporaryFolder(), name, changes).trainer()
      let recorder = StandInRecorder()
      trainer.recordSteps(with: recorder.record)
      for _ in 0..<3 { _ = try trainer.step() }
      #expect(recorder.records == 0)
    }
  }

  private func weights(of trainer: Trainer) throws -> [String: [UInt32]] {
    try Dictionary(
      uniqueKeysWithValues: trainer.model.weights.tensors.map {
        ($0.key, try $0.value.detached().elements(Float.self).map(\.bitPattern))
      })
  }

  private func moments(of trainer: Trainer) throws -> [String: [Float]] {
    try Dictionary(
      uniqueKeysWithValues: trainer.optimizer.moments.map { ($0.key, try $0.value.elements(Float.self)) })
  }
}
