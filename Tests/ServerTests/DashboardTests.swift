import Foundation
import TestSupport
import Testing
import WidebandCheckedInput

@testable import WidebandServer

/// The server of a training run's page, over files that grow.
struct DashboardTests {
  private let folder: TemporaryFolder
  private let server: DashboardServer
  private let client: TestClient
  private let port: Int

  init() async throws {
    folder = try TemporaryFolder()
    server = DashboardServer(
      DashboardRun(
        name: "wide", metricsPath: folder("metrics.jsonl"), logPath: folder("log.txt"), steps: 20, tokensPerStep: 128,
        rows: [("layers", "2"), ("data", "tokens")]))
    port = try await server.start(port: 0)
    client = TestClient(port: port)
  }

  private func append(_ text: String, to name: String = "metrics.jsonl") throws {
    let before = folder.exists(name) ? try folder.read(name) : ""
    try folder.write(name, text: before + text)
  }

  /// Asks for what follows an answer.
  private func next(_ answer: JSONValue) async throws -> JSONValue {
    let (metrics, log) = try (#require(answer["metrics"]["end"].integer), #require(answer["log"]["end"].integer))
    return try await client.get("/run?metrics=\(metrics)&log=\(log)&wait=true").json
  }

  @Test func page_isServed() async throws {
    let page = try await client.get("/")
    #expect(page.status == 200 && page.headers["content-type"] == "text/html; charset=utf-8")
    #expect(page.text.contains("page/dashboard.js"))
    for name in ["dashboard.js", "curves.js", "chart.js", "style.css", "dashboard.css"] {
      #expect(try await client.get("/page/\(name)").status == 200)
    }
    let missing = try await client.get("/engine")
    #expect(missing.status == 404 && missing.json["error"]["message"] == "there is nothing at this address")
    let other = try await client.send(
      Array("GET /run HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".utf8))
    #expect(other.status == 403)
    await server.stop(.finished)
  }

  @Test func lines_comeOnce() async throws {
    let empty = try await client.get("/run").json
    #expect(empty["name"] == "wide" && empty["steps"] == 20 && empty["tokens_per_step"] == 128)
    #expect(empty["rows"] == [["layers", "2"], ["data", "tokens"]])
    #expect(empty["state"] == "running" && empty["message"] == .null && empty.has("message"))
    #expect(empty["metrics"] == ["text": "", "end": 0] && empty["log"] == ["text": "", "end": 0])
    // A line that is half written waits for its end. One that is no JSON is the page's to report.
    try append(#"{"step":1,"loss":2.5}"# + "\nno JSON\n" + #"{"step":2,"#)
    let first = try await next(empty)
    #expect(first["metrics"] == ["text": .string(#"{"step":1,"loss":2.5}"# + "\nno JSON\n"), "end": 30])
    try append(#""loss":2}"# + "\n")
    try append("a line of the log\n", to: "log.txt")
    let second = try await next(first)
    #expect(second["metrics"]["text"] == .string(#"{"step":2,"loss":2}"# + "\n"))
    #expect(second["log"] == ["text": "a line of the log\n", "end": 18])
    #expect(second["id"] == empty["id"])
    await server.stop(.finished)
  }

  @Test("a request that waits is answered when the run ends, with the last lines")
  func end_isTold() async throws {
    let first = try await client.get("/run").json
    let waiting = Task { try await next(first) }
    try await Task.sleep(for: .milliseconds(200))
    try append("{\"step\":1}\n")
    let clock = ContinuousClock()
    let elapsed = await clock.measure { await server.stop(.failed("step 2: the loss is nan")) }
    #expect(elapsed < .seconds(10))
    let last = try await waiting.value
    #expect(last["state"] == "failed" && last["message"] == "step 2: the loss is nan")
    #expect(last["metrics"]["text"] == "{\"step\":1}\n")
    await #expect(throws: (any Error).self) { try await client.get("/run") }
  }

  @Test func connectionsDoNotDelayTheEnd() async throws {
    try await client.open(Array("GET /run HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8)) { answer in
      _ = try await answer.read { $0.text.contains("\"log\"") }
      let clock = ContinuousClock()
      #expect(await clock.measure { await server.stop(.stopped) } < .seconds(30))
    }
  }

  @Test func badOffsetsAndTakenPort_areNamed() async throws {
    let answer = try await client.get("/run?metrics=-1")
    #expect(answer.status == 400)
    #expect(answer.json["error"]["message"] == "metrics is '-1': expected an offset in bytes")
    let other = DashboardServer(
      DashboardRun(name: "", metricsPath: "", logPath: "", steps: 1, tokensPerStep: 1, rows: []))
    await #expect(throws: InputError("127.0.0.1:\(port): cannot listen: Address already in use")) {
      _ = try await other.start(port: port)
    }
    await server.stop(.finished)
  }
}
