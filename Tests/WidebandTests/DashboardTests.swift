import Foundation
import TestSupport
import Testing

/// `train --dashboard`.
final class DashboardTests: WorkspaceTests {
  private func arguments(_ output: String, _ more: String...) -> [String] {
    ["train", "--recipe", workspace("recipe.yaml"), "--data", workspace("tokens"), "--output", output] + more
  }

  /// Waits for the line with the address, and returns its port.
  private func port(of running: Executable.Running) throws -> Int {
    let beginning = "dashboard: http://127.0.0.1:"
    while running.process.isRunning, !running.errors.contains(beginning) { usleep(10_000) }
    let line = try #require(running.errors.split(separator: "\n").first { $0.hasPrefix(beginning) })
    return try #require(Int(line.dropFirst(beginning.count)))
  }

  @Test("a page shows a run that goes on, and its end")
  func page_whileTraining() async throws {
    let running = try Executable.start(
      arguments(
        "run", "--dashboard", "0", "--set", "training.steps=1000000", "--set", "checkpoint.interval=1000000", "--set",
        "validation.interval=1000000"), in: folder.url)
    let port = try port(of: running)
    let client = TestClient(port: port)
    #expect(try await client.get("/").text.contains("page/dashboard.js"))
    var answer = try await client.get("/run?metrics=0&log=0&wait=true").text
    #expect(answer.contains(#""name":"run","steps":1000000,"tokens_per_step":128"#), "\(answer)")
    #expect(answer.contains(#"{\"step\":1,\"train/total\":"#), "\(answer)")

    // Another run cannot have the port, and leaves no files.
    expectError(
      try folder.run(arguments("other", "--dashboard", "\(port)")),
      "127.0.0.1:\(port): cannot listen: Address already in use")
    #expect(!folder.exists("other"))

    let end = try folder.size(of: "run/metrics.jsonl")
    async let waiting = client.get("/run?metrics=\(end)&log=0&wait=true")
    try await Task.sleep(for: .milliseconds(300))
    kill(running.process.processIdentifier, SIGINT)
    answer = (try? await waiting.text) ?? ""
    // The answer may be one that was on its way; the one after it tells the end, or there is nobody left to ask.
    if answer.contains(#""state":"running""#) { answer = (try? await client.get("/run").text) ?? "" }
    #expect(answer.isEmpty || answer.contains(#""state":"stopped""#), "\(answer.suffix(400))")
    let result = try running.wait()
    #expect(result.status == 130)
    #expect(result.output == "stopped; continue with: wideband train --resume --output run\n")
  }

  @Test("a run with a page has the results of one without")
  func results_areThoseWithoutPage() throws {
    try folder.run(arguments("run", "--set", Workspace.steps, "--dashboard=0")).succeeding()
    let weights = try Data(contentsOf: folder.url("run/checkpoints/step-00000060/model.safetensors"))
    #expect(try weights == Data(contentsOf: URL(filePath: "\(workspace.model)/model.safetensors")))
    let resumed = try folder.run("train", "--resume", "--output", "run", "--dashboard", "0").succeeding()
    #expect(resumed.errors.contains("dashboard: http://127.0.0.1:"))
    #expect(resumed.errors.contains("60 steps are taken, training.steps is 60: nothing is left to do"))
  }
}
