import Foundation
import TestSupport
import Testing
import Wideband

/// `wideband study` with runs of a few steps.
final class StudyTests: WorkspaceTests {
  private func writePlan(steps: Int = 4, _ more: String = "") throws {
    let plan = """
      question: Does width help?
      recipe: \(workspace("recipe.yaml"))
      set: {training.steps: \(steps), validation.interval: 2, checkpoint.interval: 1}
      seeds: [1, 2]
      baseline: plain
      arms:
        plain: {set: {model.virtual_width: null}}
        wide: {\(more)}
      """
    try folder.write("plan.yaml", text: plan)
  }

  private func start(_ output: String) throws -> Executable.Running {
    try Executable.start(
      "study", "plan.yaml", "--data", workspace("tokens"), "--output", output, "--threads", "1", in: folder.url)
  }

  private let runs = ["plain/lr-0.01/seed-1", "wide/lr-0.01/seed-1", "plain/lr-0.01/seed-2", "wide/lr-0.01/seed-2"]

  /// The losses of all runs, without speed and memory.
  private func losses(_ output: String) throws -> [[[String: Double]]] {
    try runs.map { run in
      try MetricsFile.read(folder("\(output)/runs/\(run)/metrics.jsonl")).map { line in
        line.values.filter { !["tokens_per_second", "peak_bytes"].contains($0.key) }
      }
    }
  }

  @Test("a study that is killed and started again has the losses of one that is not, bit for bit")
  func killed() throws {
    try writePlan()
    try start("whole").wait().succeeding()
    let killed = try start("killed")
    while killed.process.isRunning, !folder.exists("killed/runs/\(runs[1])/metrics.jsonl") { usleep(1000) }
    kill(killed.process.processIdentifier, SIGKILL)
    #expect(try killed.wait().status == -SIGKILL)
    #expect(!folder.exists("killed/runs/\(runs[3])"))
    let firstLog = try folder.read("killed/runs/\(runs[0]).txt")
    let result = try start("killed").wait().succeeding()
    #expect(result.output.hasPrefix("results: killed/results.md, "))
    #expect(!result.errors.contains("\u{1B}"), "no table where there is no terminal")
    #expect(try losses("killed") == losses("whole"))
    #expect(try losses("whole").map(\.count) == [4, 4, 4, 4])
    #expect(try folder.read("killed/runs/\(runs[0]).txt") == firstLog, "a finished run is not repeated")
    #expect(try folder.read("killed/results.md").contains("4 of 4 runs are finished."))
  }

  @Test("a signal saves the runs and ends the study; a changed plan is refused then", arguments: [SIGINT, SIGTERM])
  func stopped(signal: Int32) throws {
    try writePlan(steps: 100)
    let running = try start("out")
    while running.process.isRunning, !folder.exists("out/runs/\(runs[0])/best") { usleep(1000) }
    kill(running.process.processIdentifier, signal)
    let result = try running.wait()
    #expect(result.status == 130)
    #expect(
      result.output
        == "stopped; continue with: wideband study plan.yaml --output out --data \(workspace("tokens")) --threads 1\n"
    )
    #expect(try folder.read("out/runs/\(runs[0]).txt").contains("checkpoint saved"))
    #expect(!folder.exists("out/runs/\(runs[0]).json"))
    try writePlan(steps: 99)
    let changed = try start("out").wait()
    expectError(
      changed,
      "plan.yaml: would change runs of out: \(runs[0]): training.steps is 99, and was 100: expected the recipes they were "
        + "started with, another --output, or neither their folders nor the .json next to them")
  }

  @Test("two studies in one folder are refused, and no run remains of one that is killed")
  func twoStudies() throws {
    try writePlan(steps: 2000)
    let first = try start("out")
    while first.process.isRunning, !folder.exists("out/runs/\(runs[0])/metrics.jsonl") { usleep(1000) }
    let second = try start("out").wait()
    expectError(
      second, "out: another process (pid \(first.process.processIdentifier)) is training here")
    let children = ProcessTable.children(of: first.process.processIdentifier)
    #expect(children.count == 1)
    kill(first.process.processIdentifier, SIGKILL)
    _ = try first.wait()
    let deadline = Date(timeIntervalSinceNow: 10)
    while children.contains(where: ProcessTable.isRunning), Date() < deadline { usleep(20_000) }
    #expect(!children.contains(where: ProcessTable.isRunning))
  }

  @Test("a run that fails is named, the others go on; a run that diverges is a result")
  func failures() throws {
    try writePlan("learning_rates: [0.01, 1.0e+30]")
    // A file in the place of a run folder.
    try folder.write("out/runs/\(runs[2])", text: "")
    let result = try start("out").wait()
    #expect(result.status == 1)
    let name = "plain, learning rate 0.01, seed 2: failed: "
    #expect(result.errors.contains(name), "\(result.errors)")
    #expect(result.errors.contains("Error: 1 of 6 runs failed; the first: \(runs[2]): "))
    #expect(result.errors.contains("wide, learning rate 1e+30, seed 1: diverged"))
    let text = try folder.read("out/results.md")
    #expect(text.contains("3 of 6 runs are finished, 2 diverged, 1 missing."))
    #expect(text.contains("| wide | 0.01 (the lowest tried) |"))
  }
}
