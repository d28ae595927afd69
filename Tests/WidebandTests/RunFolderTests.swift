import Foundation
import TestSupport
import Testing

/// Run folders that are taken, missing or cannot be written.
final class RunFolderTests: WorkspaceTests {
  private func train(_ output: String) throws -> Executable.Result {
    try folder.run("train", "--recipe", workspace("recipe.yaml"), "--data", workspace("tokens"), "--output", output)
  }

  @Test func run_secondProcess_isRefused() throws {
    let running = try Executable.start(
      "train", "--recipe", workspace("recipe.yaml"), "--data", workspace("tokens"), "--output", "run", "--set",
      "training.steps=1000000", "--set", "checkpoint.interval=1000000", in: folder.url)
    while running.process.isRunning, !folder.exists("run/metrics.jsonl") { usleep(1000) }
    let sentence = "run: another process (pid \(running.process.processIdentifier)) is training here"
    expectError(try folder.run("train", "--resume", "--output", "run"), sentence)
    expectError(try train("run"), sentence)
    kill(running.process.processIdentifier, SIGKILL)
    #expect(try running.wait().status == -SIGKILL)
    // The lock of a dead process is released.
    expectError(
      try train("run"), "run: holds a run already; continue it with --resume, or choose another folder")
  }

  @Test func run_existing_isRefused() throws {
    let run = workspace("run")
    expectError(try train(run), "\(run): holds a run already; continue it with --resume, or choose another folder")
  }

  @Test("--resume auto goes on with the recipe of the run, and refuses another one") func resume_auto() throws {
    func train(_ changes: String...) throws -> Executable.Result {
      try folder.run(
        [
          "train", "--recipe", workspace("recipe.yaml"), "--data", workspace("tokens"), "--output", "run", "--resume",
          "auto",
        ]
          + (["training.steps=2", "schedule.warmup_steps=1"] + changes).flatMap { ["--set", $0] })
    }
    try train().succeeding()
    let again = try train().succeeding()
    #expect(again.errors.contains("2 steps are taken, training.steps is 2: nothing is left to do"))
    expectError(
      try train("training.seed=77"),
      "run/recipe.yaml: training.seed is 1, and 77 in the recipe that the run is to go on with: expected the same")
    expectError(
      try train("training.steps=3"),
      "run/recipe.yaml: training.steps is 2, and 3 in the recipe that the run is to go on with: expected the same")
  }

  @Test("a run is resumed from any folder, and one that is complete ends at once")
  func resume_fromOtherFolder() throws {
    try FileManager.default.copyItem(atPath: workspace("tokens"), toPath: folder("tokens"))
    let recipe = try String(contentsOfFile: workspace("recipe.yaml"), encoding: .utf8)
    try folder.write("recipe.yaml", text: recipe + "\ndata: tokens\n")
    try folder.run(
      "train", "--recipe", "recipe.yaml", "--output", "run", "--set", "training.steps=2", "--set",
      "schedule.warmup_steps=1"
    ).succeeding()
    // A folder of the same name elsewhere is not used.
    try FileManager.default.createDirectory(at: folder.url("elsewhere/tokens"), withIntermediateDirectories: true)
    func resume(steps: Int, before: Int) throws -> Executable.Result {
      let text = try folder.read("run/recipe.yaml")
      #expect(text.contains("data: \"\(folder("tokens"))\"\n"))
      try folder.write("run/recipe.yaml", text: text.replacing("\n  steps: \(before)\n", with: "\n  steps: \(steps)\n"))
      return try Executable.run("train", "--resume", "--output", "../run", in: folder.url("elsewhere"))
    }
    let longer = try resume(steps: 3, before: 2)
    #expect(longer.status == 0 && longer.errors.contains("step 3: checkpoint saved"), "\(longer.errors)")
    let shorter = try resume(steps: 1, before: 3)
    #expect(shorter.status == 0 && shorter.output == "", "\(shorter.output)")
    #expect(shorter.errors.contains("3 steps are taken, training.steps is 1: nothing is left to do"))
  }

  @Test("a second Ctrl-C ends the process without a checkpoint", arguments: [5, 20, 50, 80])
  func run_secondSignal_endsAtOnce(milliseconds: UInt32) throws {
    let running = try Executable.start(
      "train", "--recipe", Fixtures.url("golden/plain.yaml").path, "--data", workspace("tokens"), "--output", "run",
      "--set", "training.steps=100000", "--set", "model.hidden_size=512", "--set", "checkpoint.interval=100000",
      "--set", "validation.interval=100000", in: folder.url)
    while running.process.isRunning, try folder.size(of: "run/metrics.jsonl") == 0 { usleep(1000) }
    kill(running.process.processIdentifier, SIGINT)
    usleep(1000 * milliseconds)
    kill(running.process.processIdentifier, SIGINT)
    let result = try running.wait()
    #expect(result.status == 130)
    #expect(!result.errors.contains("Error") && !result.errors.contains("***"), "\(result.errors)")
    #expect(result.errors.contains("stopping after this step"))
  }

  @Test func resume_missingRun() throws {
    expectError(try folder.run("train", "--resume", "--output", "run"), "run: no such run folder")
    try FileManager.default.createDirectory(at: folder.url("run"), withIntermediateDirectories: true)
    expectError(
      try folder.run("train", "--resume", "--output", "run"),
      "run: holds no run to resume: there is no recipe.yaml")
  }

  @Test func run_folderBelowFile() throws {
    try folder.write("file", text: "a file")
    expectError(try train("file/run"), "file/run: the run folder cannot be created: Not a directory")
    expectError(try train("file"), "file: the run folder cannot be created: File exists")
    expectError(try train("/dev/full"), "/dev/full: the run folder cannot be created: File exists")
    expectError(
      try folder.run("report", "a=\(workspace("run"))", "--output", "file/page.html", "--tokens", "1"),
      "\(folder("file/page.html")): cannot create a temporary file next to it: Not a directory")
  }

  @Test func fullDisk_checkpoint() throws {
    let result = try Executable.run(
      blocks: 20, "train", "--recipe", workspace("recipe.yaml"), "--data", workspace("tokens"), "--output", "run",
      in: folder.url)
    #expect(result.status == 1)
    let path = folder("run/checkpoints/step-00000003/model.safetensors")
    let error = try #require(result.errors.split(separator: "\n").last)
    #expect(error.hasPrefix("Error: \(path): cannot write "))
    #expect(error.hasSuffix(" bytes: File too large"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder("run/checkpoints")) == [])
    // With free space, the run continues.
    #expect(try folder.run("train", "--resume", "--output", "run").status == 0)
  }

  @Test func fullDisk_tokenizer() throws {
    let result = try Executable.run(
      blocks: 4, "tokenizer", "train", "--size", "300", "--output", "out", workspace("text.txt"), in: folder.url)
    #expect(result.status == 1)
    #expect(result.errors.hasPrefix("Error: \(folder("out/tokenizer.json")): cannot write "))
    #expect(result.errors.hasSuffix(" bytes: File too large\n"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder("out")) == [])
  }

  @Test func fullDisk_data() throws {
    let result = try Executable.run(
      blocks: 4, "data", "prepare", "--tokenizer", workspace("tokenizer"), "--output", "tokens", workspace("text.txt"),
      in: folder.url)
    #expect(result.status == 1)
    let error = try #require(result.errors.split(separator: "\n").last)
    #expect(error.hasPrefix("Error: \(folder("tokens"))/"))
    #expect(error.hasSuffix(" bytes: File too large"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
  }
}
