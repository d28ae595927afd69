import Foundation
import TestSupport
import Testing

@testable import WidebandTraining

@Suite struct RunDirectoryTests {
  private let folder: TemporaryFolder
  private var path: String { folder("run") }

  init() throws { folder = try TemporaryFolder() }

  private func start() throws -> RunDirectory {
    let run = try RunDirectory(creating: path)
    try folder.write("run/recipe.yaml", text: "seed: 1\n")
    return run
  }

  private func write(_ steps: [Int], in run: RunDirectory) throws {
    for step in steps {
      try run.writeCheckpoint(step: step) { try Data("\(step)".utf8).write(to: $0.appending(path: "state")) }
    }
  }

  @Test("one process at a time locks the folder") func lock_exclusive() throws {
    var run: RunDirectory? = try start()
    let refusal = "\(path): another process (pid \(getpid())) is training here"
    #expect(message { _ = try RunDirectory(resuming: path) } == refusal)
    #expect(message { _ = try RunDirectory(creating: path) } == refusal)
    #expect(throws: RunDirectoryError.inUse(path: path, process: "\(getpid())")) {
      _ = try RunDirectory(creating: path)
    }
    #expect(run?.path == path)
    run = nil
    #expect(try RunDirectory(resuming: path).path == path)
  }

  @Test("the lock of a dead process is released") func lock_ofDeadProcess() throws {
    _ = try start()
    try folder.write("run/.lock", text: "1")
    #expect(try RunDirectory(resuming: path).path == path)
  }

  @Test func aRunIsNotStartedOverAnother() throws {
    _ = try start()
    #expect(
      message { _ = try RunDirectory(creating: path) }
        == "\(path): holds a run already; continue it with --resume, or choose another folder")
    #expect(message { _ = try RunDirectory(resuming: folder("none")) } == "\(folder("none")): no such run folder")
    try folder.write("other/a.txt", text: "")
    #expect(
      message { _ = try RunDirectory(resuming: folder("other")) }
        == "\(folder("other")): holds no run to resume: there is no recipe.yaml")
    #expect(try folder.names("other") == ["a.txt"])
  }

  @Test func aFolderThatIsRefusedStaysAsItWas() throws {
    try folder.write("model/recipe.yaml", text: "seed: 1\n")
    #expect(throws: RunDirectoryError.self) { _ = try RunDirectory(creating: folder("model")) }
    #expect(try folder.names("model") == ["recipe.yaml"])
    try folder.write("bare/recipe.yaml", text: "seed: 1\n")
    try folder.write("bare/metrics.jsonl", text: "{}\n")
    #expect(throws: RunDirectoryError.self) { _ = try RunDirectory(resuming: folder("bare")) }
    #expect(try folder.names("bare") == ["metrics.jsonl", "recipe.yaml"])
    try folder.write("other/checkpoints", text: "")
    #expect(throws: RunDirectoryError.self) { _ = try RunDirectory(creating: folder("other")) }
    #expect(try folder.names("other") == ["checkpoints"])
  }

  @Test(arguments: ["log.txt", "best", "events.out.tfevents.mine", "checkpoints/step-00000001/mine"])
  func whatARunWouldWriteIsNotReplaced(name: String) throws {
    try folder.write("mine/\(name)", text: "mine")
    let first = name.split(separator: "/")[0]
    #expect(
      message { _ = try RunDirectory(creating: folder("mine")) }
        == "\(folder("mine")): holds '\(first)', as a run would write it: expected another folder")
    #expect(try folder.names("mine") == [String(first)])
    #expect(try String(contentsOfFile: folder("mine/\(name)"), encoding: .utf8) == "mine")
  }

  @Test func aFolderInThePlaceOfTheBestIsNamed() throws {
    try folder.write("run/recipe.yaml", text: "seed: 1\n")
    try folder.write("run/best/mine", text: "mine")
    #expect(
      message { _ = try RunDirectory(resuming: folder("run")) }
        == "\(folder("run/best")): is no link: expected one to a checkpoint, or nothing of that name")
  }

  @Test func aCheckpointIsNotTakenForARun() throws {
    try folder.write("best/recipe.yaml", text: "seed: 1\n")
    try folder.write("best/training.json", text: "{}\n")
    #expect(
      message { _ = try RunDirectory(resuming: folder("best")) }
        == "\(folder("best")): is a checkpoint: expected the folder of its run")
    #expect(try folder.names("best") == ["recipe.yaml", "training.json"])
  }

  @Test func aPlaceThatCannotBeWrittenIsNamed() throws {
    try folder.write("file", text: "")
    #expect(
      message { _ = try RunDirectory(creating: folder("file/run")) }
        == "\(folder("file/run")): the run folder cannot be created: Not a directory")
  }

  @Test(.enabled(if: geteuid() != 0, "the administrator may write anywhere"))
  func aReadOnlyFolderIsNamed() throws {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    chmod(path, 0o555)
    #expect(
      message { _ = try RunDirectory(creating: path) }
        == "\(path): the run folder cannot be written: Permission denied")
    chmod(path, 0o755)
  }

  @Test func checkpointsAreListedNewestFirst() throws {
    let run = try start()
    #expect(try run.checkpoints() == [])
    try write([100, 5, 123_456_789], in: run)
    #expect(try run.checkpoints().map(\.step) == [123_456_789, 100, 5])
    #expect(try run.checkpoints()[1].path == "\(path)/checkpoints/step-00000100")
    #expect(try folder.read("run/checkpoints/step-00000100/state") == "100")
  }

  @Test func aCheckpointThatFailsLeavesTheOldOne() throws {
    struct Failure: Error {}
    let run = try start()
    try write([1], in: run)
    #expect(throws: Failure.self) {
      try run.writeCheckpoint(step: 1) { folder in
        try Data("half".utf8).write(to: folder.appending(path: "state"))
        throw Failure()
      }
    }
    #expect(try folder.read("run/checkpoints/step-00000001/state") == "1")
    #expect(try folder.names("run/checkpoints") == ["step-00000001"])
  }

  @Test("the newest checkpoints and the best one are not deleted") func checkpoints_deleted() throws {
    let run = try start()
    try write([1, 2, 3, 4, 5], in: run)
    #expect(try run.best() == nil)
    try run.markBest(step: 4)
    try run.markBest(step: 2)
    #expect(try run.best()?.step == 2)
    #expect(try folder.read("run/best/state") == "2")
    try run.keepCheckpoints(newest: 2)
    #expect(try run.checkpoints().map(\.step) == [5, 4, 2])
    try run.markBest(step: 5)
    try run.keepCheckpoints(newest: 2)
    #expect(try run.checkpoints().map(\.step) == [5, 4])
    #expect(try folder.names("run/checkpoints") == ["step-00000004", "step-00000005"])
    #expect(message { try run.markBest(step: 9) } == "\(path)/checkpoints: there is no checkpoint of step 9")
  }

  @Test("temporary files of a killed process are removed") func temporaryFiles_removed() throws {
    try write([1], in: start())
    // No process has this id: it is above the system's maximum.
    try folder.write("run/.wideband-2000000000-x-y", text: "half")
    try folder.write("run/checkpoints/.wideband-2000000000-x-z/state", text: "half")
    try folder.write("run/checkpoints/.deleted/state", text: "half")
    let run = try RunDirectory(resuming: path)
    #expect(try folder.names("run") == [".lock", "checkpoints", "recipe.yaml"])
    #expect(try folder.names("run/checkpoints") == ["step-00000001"])
    #expect(try run.checkpoints().map(\.step) == [1])
  }
}
