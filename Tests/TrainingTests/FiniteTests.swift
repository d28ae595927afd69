import Foundation
import TestSupport
import Testing
import WidebandTorch

@testable import WidebandTraining

/// Weights that overflow are not saved, and only a checkpoint with finite values is reported as intact.
struct FiniteTests {
  private func poison(_ trainer: Trainer, _ name: String = "model.embed_tokens.weight") throws {
    let weight = try #require(trainer.model.weights.tensors[name])
    try withTorch { withoutGradients { weight.select(0, 0).fill(.infinity) } }
  }

  private func run(_ trainer: Trainer, in directory: RunDirectory, at step: Int? = nil) -> String {
    message {
      let console = try TrainingConsole(
        trainer.recipe, logPath: directory.logPath, isTerminal: false, operationsPerToken: 1, peakOperations: 1)
      let run = try TrainingRun(trainer, in: directory, console: console)
      _ = try run.run {
        // Called after the update of a step and before the checkpoint is written.
        if trainer.stepsTaken == step { try? poison(trainer) }
        return false
      }
    }
  }

  @Test func aWeightThatOverflowsInTheLastStepIsNotSaved() throws {
    let fixture = try TrainerFixture("wide", "training.steps=6", "checkpoint.interval=2", "validation.interval=100")
    let directory = try RunDirectory(creating: fixture.folder("run"))
    #expect(
      run(try fixture.trainer(), in: directory, at: 6)
        == "step 6: the weight model.embed_tokens.weight has elements that are not finite after the update; nothing of "
        + "it was saved; the last checkpoint, of step 4, is intact")
    #expect(try directory.checkpoints().map(\.step) == [4, 2])
  }

  @Test func aCheckpointThatIsNotFiniteIsNotCalledIntactAndNotContinued() throws {
    let fixture = try TrainerFixture("wide", "training.steps=6", "checkpoint.interval=2", "validation.interval=100")
    let directory = try RunDirectory(creating: fixture.folder("run"))
    let trainer = try fixture.trainer()
    _ = try trainer.step()
    _ = try trainer.step()
    try poison(trainer)
    try directory.writeCheckpoint(step: 2) {
      try TrainingCheckpoint.write(trainer, progress: .init(step: 2), files: [:], into: $0)
    }
    let sentence = "the weight model.embed_tokens.weight has elements that are not finite"
    let checkpoint = try TrainingCheckpoint(directory.checkpoints()[0])
    #expect(
      message { _ = try fixture.trainer(from: checkpoint) }
        == "\(checkpoint.url.path): \(sentence): remove this folder to continue from the checkpoint before it")
    let end = run(trainer, in: directory)
    #expect(end.hasSuffix("the last checkpoint, of step 2, cannot be continued: \(sentence)"), "\(end)")
  }

  @Test func anEvaluationThatIsNotFiniteIsNone() throws {
    let trainer = try TrainerFixture("plain").trainer()
    try poison(trainer, "model.norm.weight")
    #expect(
      message { _ = try trainer.evaluate() }
        == "held-out text: the next-token loss is nan: expected a finite number")
  }
}
