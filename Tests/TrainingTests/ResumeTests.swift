import Foundation
import TestSupport
import Testing

@testable import WidebandData
@testable import WidebandTraining

/// The changes with which a run can be resumed.
struct ResumeTests {
  private let fixture: TrainerFixture

  init() throws {
    fixture = try TrainerFixture("wide", "training.steps=6", "checkpoint.interval=3")
    try fixture.run("run", shouldStop: { $0 == 3 })
  }

  @Test(arguments: [
    ("optimizer.learning_rate=0.02", "optimizer.learning_rate is 0.02, and was 0.01"),
    ("training.seed=2", "training.seed is 2, and was 1"),
    ("training.tokens_per_step=256", "training.tokens_per_step is 256, and was 128"),
    ("schedule.kind=constant", "schedule.kind is 'constant', and was 'cosine'"),
    ("model.rope_theta=500", "model.rope_theta is 500, and was 10000"),
  ])
  func aRecipeThatComputesSomethingElseIsRefused(_ change: String, _ difference: String) throws {
    #expect(
      try message { try fixture.changed(change).run("run") }
        == "recipe.yaml: \(difference) when step 3 was saved: expected the same; a new run may start from the "
        + "checkpoint with --from")
  }

  @Test(arguments: [
    "training.steps=8", "training.rows_per_batch=1", "training.activation_checkpointing=true",
    "validation.interval=2", "checkpoint.keep=5", "sample.prompt=Light", "data=elsewhere",
  ])
  func changes_withoutEffectOnSteps_areAccepted(_ change: String) throws {
    let changed = try fixture.changed(change)
    try changed.run("run")
    #expect(try fixture.metrics("run").count == changed.recipe.training.steps)
  }

  @Test func otherTextIsRefused() throws {
    let text = try String(contentsOf: Fixtures.url("golden/genesis.txt"), encoding: .utf8)
    try fixture.folder.write("other.txt", text: text.replacing("God", with: "Dog"))
    var options = DataPreparation.Options()
    options.validationFraction = 0.2
    for (name, source) in [("other", fixture.folder("other.txt")), ("same", Fixtures.url("golden/genesis.txt").path)] {
      _ = try DataPreparation([source], encoder: ByteEncoder(), options: options).run(into: fixture.folder(name))
    }
    let sentence = try message { try fixture.trained(on: fixture.folder("other")).run("run") }
    #expect(sentence.hasPrefix("\(fixture.folder("other")): has other text than step 3 was trained on ("))
    // The same text in another folder is the same data.
    try fixture.trained(on: fixture.folder("same")).run("run")
  }

  @Test func aFinishedRunThatWasToTakeFewerStepsIsFinished() throws {
    try fixture.run("run")
    let shorter = try fixture.changed("training.steps=5")
    try shorter.run("run")
    #expect(
      try fixture.folder.read("run/log.txt").contains("6 steps are taken, training.steps is 5: nothing is left to do"))
    #expect(try fixture.metrics("run").count == 6)
  }

  @Test("a run whose checkpoints are missing is not started again") func checkpoints_missing() throws {
    let path = fixture.folder("run")
    try FileManager.default.removeItem(atPath: "\(path)/checkpoints")
    let before = try fixture.bytes("run/metrics.jsonl")
    #expect(
      message { try fixture.run("run") }
        == "\(path): has metrics of a run, but no folder checkpoints to continue it from: expected that folder; remove "
        + "metrics.jsonl to begin at step 0")
    #expect(try fixture.bytes("run/metrics.jsonl") == before)
  }

  @Test func aRunThatFailsBeforeItsFirstStepLeavesNothing() throws {
    let path = fixture.folder("new")
    try RunDirectory(creating: path).discardUnbegunRun()
    #expect(!FileManager.default.fileExists(atPath: path))
    // Other files are left alone.
    try fixture.folder.write("new/note.txt", text: "mine")
    let directory = try RunDirectory(creating: path)
    try fixture.folder.write("new/recipe.yaml", text: "")
    directory.discardUnbegunRun()
    #expect(try fixture.folder.names("new") == ["note.txt"])
    let begun = try RunDirectory(resuming: fixture.folder("run"))
    begun.discardUnbegunRun()
    #expect(try fixture.folder.names("run/checkpoints") == ["step-00000003"])
  }
}
