import TestSupport
import Testing
import Torch

@testable import Training

/// Training steps that are recorded once, with a stand-in for the GPU: what it recorded is done again by the processor.
@Suite struct RecordedGradientsTests {
  @Test(arguments: ["plain", "wide"]) func recordedStepsAreTheOrdinaryOnes(name: String) throws {
    let fixture = try TrainerFixture(name)
    let (ordinary, recorded) = (try fixture.trainer(), try fixture.trainer())
    let recorder = StandIn()
    recorded.recordSteps(of: Array(recorded.model.weights.tensors.values), with: recorder.record)
    for step in 1...5 {
      let (expected, found) = (try ordinary.step(), try recorded.step())
      #expect(found.losses.map(\.name) == expected.losses.map(\.name))
      #expect(found.losses.map(\.value) == expected.losses.map(\.value), "step \(step)")
      #expect(found.gradientNorm == expected.gradientNorm)
      #expect(try recorded.evaluate() == ordinary.evaluate())
      // Where recorded work writes gradients, they stay.
      #expect(recorded.model.weights.tensors.values.allSatisfy { ($0.gradient != nil) == (step > 1) })
    }
    #expect(recorder.recordings == 1)
    #expect(recorder.runs == 4)
    #expect(try weights(of: recorded) == weights(of: ordinary))
  }

  @Test func whatCannotBeRecordedIsDoneInTheOrdinaryWay() throws {
    let fixture = try TrainerFixture("wide")
    let (ordinary, refused) = (try fixture.trainer(), try fixture.trainer())
    let recorder = StandIn(refuses: true)
    refused.recordSteps(of: Array(refused.model.weights.tensors.values), with: recorder.record)
    for _ in 0..<4 { #expect(try refused.step().losses.map(\.value) == ordinary.step().losses.map(\.value)) }
    #expect(recorder.recordings == 1)
    #expect(recorder.runs == 0)
  }

  @Test func stepsThatDifferAreNotRecorded() throws {
    for (name, changes) in [("mixture", []), ("plain", ["training.rows_per_batch=1"])] {
      let trainer = try TrainerFixture(in: TemporaryFolder(), name, changes).trainer()
      let recorder = StandIn()
      trainer.recordSteps(of: Array(trainer.model.weights.tensors.values), with: recorder.record)
      for _ in 0..<3 { _ = try trainer.step() }
      #expect(recorder.recordings == 0)
    }
  }

  private func weights(of trainer: Trainer) throws -> [String: [Float]] {
    try Dictionary(
      uniqueKeysWithValues: trainer.model.weights.tensors.map { ($0.key, try $0.value.detached().elements(Float.self)) }
    )
  }
}

/// A recorder that leaves nothing done, and whose runs do it.
private final class StandIn {
  private let refuses: Bool
  private(set) var recordings = 0
  private(set) var runs = 0

  init(refuses: Bool = false) { self.refuses = refuses }

  func record(_: Device, _ work: @escaping () -> Bool) -> (() throws -> Void)? {
    recordings += 1
    guard !refuses else { return nil }
    return { [self] in
      runs += 1
      #expect(RecordedWork.$isRecording.withValue(true) { work() })
    }
  }
}
