import Foundation
import TestSupport
import Testing

@testable import WidebandData
@testable import WidebandTraining

struct TrainingRunTests {
  private struct Crash: Error {}

  private let fixture: TrainerFixture

  init() throws {
    // Evaluations at steps 4, 8 and 10; checkpoints at steps 3, 6, 9 and 10.
    fixture = try TrainerFixture("wide", "training.steps=10", "validation.interval=4", "sample.interval=5")
  }

  private func expectSameResult(_ one: String, _ other: String) throws {
    #expect(try fixture.metrics(one) == fixture.metrics(other))
    #expect(try fixture.metrics(one).map { $0["step"] } == (1...10).map { Double($0) })
    for file in ["model.safetensors", "optimizer.safetensors", "config.json", "training.json", "note.txt"] {
      let path = "checkpoints/step-00000010/\(file)"
      #expect(try fixture.bytes("\(one)/\(path)") == fixture.bytes("\(other)/\(path)"), "\(file)")
    }
  }

  @Test func aRunThatWasStoppedGoesOnBitForBit() throws {
    try fixture.run("whole")
    for step in [1, 4, 9] { try fixture.run("stopped", shouldStop: { $0 == step }) }
    try fixture.run("stopped")
    try expectSameResult("whole", "stopped")
  }

  @Test func aRunThatDiedBetweenCheckpointsGoesOnBitForBit() throws {
    try fixture.run("whole")
    // Fails after the metrics of step 5, with a last checkpoint of step 3.
    #expect(throws: Crash.self) { try fixture.run("died", sample: { _ in throw Crash() }) }
    #expect(try fixture.metrics("died").count == 5)
    #expect(try fixture.folder.names("died/checkpoints") == ["step-00000003"])
    try fixture.run("died")
    try expectSameResult("whole", "died")
  }

  @Test("a run that failed before its first checkpoint is due starts from the beginning")
  func run_beforeFirstCheckpoint() throws {
    try fixture.run("whole")
    #expect(throws: Crash.self) { try fixture.run("died", shouldStop: { _ in false }, sample: { _ in throw Crash() }) }
    try FileManager.default.removeItem(atPath: fixture.folder("died/checkpoints/step-00000003"))
    // A checkpoint is due every third step, so it must have existed: the metrics are not dropped.
    let before = try fixture.bytes("died/metrics.jsonl")
    #expect(
      message { try fixture.run("died") }
        == "\(fixture.folder("died")): has metrics up to step 5 and no checkpoint, though every 3 steps one is saved: "
        + "expected it in the folder checkpoints; remove metrics.jsonl to begin at step 0")
    #expect(try fixture.bytes("died/metrics.jsonl") == before)
    let rarely = try fixture.changed("checkpoint.interval=10")
    try rarely.run("died")
    try expectSameResult("whole", "died")
    #expect(try fixture.folder.read("died/log.txt").contains("metrics.jsonl: 5 lines are dropped, of steps after 0"))
  }

  @Test func measuresAndKeepsWhatTheRecipeSays() throws {
    try fixture.run("run")
    let metrics = try fixture.metrics("run")
    let measured = metrics.filter { $0["validation/bits_per_byte"] != nil }
    #expect(measured.map { $0["step"] } == [4, 8, 10])
    #expect(measured.allSatisfy { $0["connection/largest_carry_gain"] != nil && $0["connection/dynamic_share"] != nil })
    #expect(metrics.allSatisfy { $0["train/total"] != nil && $0["gradient_norm"] != nil && $0["learning_rate"] != nil })
    #expect(try fixture.folder.names("run/checkpoints") == ["step-00000009", "step-00000010"])
    let best = try FileManager.default.destinationOfSymbolicLink(atPath: fixture.folder("run/best"))
    #expect(best == "checkpoints/step-00000010")
    let log = try fixture.folder.read("run/log.txt")
    #expect(log.contains("step 5 writes: text\n"))
    #expect(log.contains("step 10: checkpoint saved\n"))
    #expect(try fixture.folder.names("run").contains { $0.hasPrefix("events.out.tfevents.") })
  }

  @Test func aFinishedRunHasNothingLeftToDo() throws {
    try fixture.run("run")
    let before = try fixture.bytes("run/metrics.jsonl")
    try fixture.run("run")
    #expect(try fixture.bytes("run/metrics.jsonl") == before)
  }

  @Test func aLossThatIsNotFiniteLeavesTheLastCheckpoint() throws {
    let fixture = try TrainerFixture("wide", "optimizer.learning_rate=1e30", "schedule.warmup_steps=0")
    let sentence = message { try fixture.run("run") }
    #expect(sentence.hasPrefix("step "))
    #expect(sentence.hasSuffix("; there is no checkpoint yet"))
    #expect(try fixture.metrics("run").count < 20)
    #expect(try fixture.folder.names("run/checkpoints") == [])
  }

  @Test("a run that goes on past the end of its metrics says which steps are lost")
  func metrics_cutShort_areReported() throws {
    try fixture.run("run")
    let lines = try fixture.folder.read("run/metrics.jsonl").split(separator: "\n")
    try fixture.folder.write("run/metrics.jsonl", text: lines.prefix(6).joined(separator: "\n") + "\n")
    try fixture.run("run")
    #expect(
      try fixture.folder.read("run/log.txt").contains(
        "run/metrics.jsonl: ends at step 6, and the run goes on after step 10: what was measured between them is lost"))
  }

  @Test("a log that cannot be written is reported once, and does not end the run")
  func log_onAFullDevice() throws {
    try FileManager.default.createDirectory(atPath: fixture.folder("run"), withIntermediateDirectories: true)
    let shown = try fixture.folder.write("shown", text: "")
    let console = try TrainingConsole(
      fixture.recipe, logPath: "/dev/full", output: try #require(FileHandle(forWritingAtPath: shown)),
      isTerminal: false, operationsPerToken: 1, peakOperations: 1)
    console.note("first")
    console.note("second")
    #expect(
      try fixture.folder.read("shown")
        == "first\n/dev/full: cannot write 27 bytes: No space left on device; the run goes on without its log\nsecond\n"
    )
  }

  @Test func aCheckpointWithoutItsStateIsRefused() throws {
    try fixture.run("run")
    let file = try fixture.folder.write("run/checkpoints/step-00000010/training.json", text: "{}")
    #expect(message { try fixture.run("run") } == "\(file): step is missing")
    for (text, sentence) in [
      ("{\"step\": 9}", "step is 9: expected 10, the step of its folder"),
      ("{\"step\": 9223372036854775807}", "step is 9223372036854775807: expected 10, the step of its folder"),
      ("{\"step\": 1e30}", "step is 1e30: expected an integer"),
      ("{\"step\": 10, \"bestStep\": 11}", "bestStep is 11: expected an integer from 1 to 10"),
      ("[]", "the document is a list: expected an object"),
    ] {
      try fixture.folder.write("run/checkpoints/step-00000010/training.json", text: text)
      #expect(message { try fixture.run("run") } == "\(file): \(sentence)")
    }
  }

  @Test func aCheckpointOfAStepThatNoRunTakesIsRefused() throws {
    try fixture.run("run")
    for name in ["step-9223372036854775807", "step-99999999999999999999", "step-00000000"] {
      let path = fixture.folder("run/checkpoints/\(name)")
      try FileManager.default.copyItem(atPath: fixture.folder("run/checkpoints/step-00000010"), toPath: path)
      #expect(
        message { try fixture.run("run") }
          == "\(path): is a checkpoint of a step that no run takes: expected one from 1 to 1000000000000")
      try FileManager.default.removeItem(atPath: path)
    }
    // Other spellings are not names of checkpoints.
    for name in ["step-+12", "step--1", "step-12", "step-"] {
      try fixture.folder.write("run/checkpoints/\(name)/training.json", text: "{\"step\": 12}")
    }
    try fixture.run("run")
  }

  @Test("without held-out text a run trains, measures nothing and marks no checkpoint as the best")
  func run_withoutHeldOutText() throws {
    let folder = try TemporaryFolder()
    var options = DataPreparation.Options()
    options.validationFraction = 0
    _ = try DataPreparation([Fixtures.url("golden/genesis.txt").path], encoder: ByteEncoder(), options: options)
      .run(into: folder("data"))
    let fixture = try TrainerFixture(
      in: folder, "wide", ["training.steps=2", "validation.interval=1", "schedule.warmup_steps=1"])
    try fixture.run("run")
    let names = try folder.names("run")
    #expect(names.contains("checkpoints") && !names.contains("best"), "\(names)")
    #expect(try folder.names("run/checkpoints") == ["step-00000002"])
    let metrics = try fixture.metrics("run")
    #expect(metrics.count == 2)
    #expect(metrics.allSatisfy { $0.keys.allSatisfy { !$0.hasPrefix("validation/") } })
    #expect(try folder.read("run/log.txt").contains("no text is held out"))
    #expect(
      message { _ = try fixture.trainer().evaluate() }
        == "\(folder("data")): the validation split has 0 tokens: expected at least 2 to measure a loss")
  }
}
