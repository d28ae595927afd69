import Foundation
import TestSupport
import Testing

/// `serve`: bad settings, and its life from loading to a signal.
struct ServeTests {
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
    try folder.initializeChatModel(contextLength: 64)
  }

  @Test func badSettings_areNamed() throws {
    func run(_ arguments: String...) throws -> Executable.Result {
      try folder.run(["serve", "--port", "0", "--model", "model"] + arguments)
    }
    expectError(try run("--parallel", "17"), "--parallel is 17: expected from 1 to 16", status: 64)
    expectError(try run("--port", "70000"), "--port is 70000: expected from 0 to 65535", status: 64)
    expectError(try run("--host", ""), "--host is empty: expected an address", status: 64)
    expectError(try run("--served-model-name", ""), "--served-model-name is empty: expected a name", status: 64)
    for origin in ["foo", "https://a/", "https://", "://a", ""] {
      expectError(
        try run("--cors-origin", origin),
        "--cors-origin is '\(origin)': expected '*' or scheme://host[:port]", status: 64)
    }
    for size in ["1XB", "-1", "1.5GB", "99999999999GB"] {
      expectError(
        try run("--prefix-cache=\(size)"),
        "The value '\(size)' is invalid for '--prefix-cache <size>': expected a size as in 500MB", status: 64)
    }
    expectError(try run("--context", "65"), "context is 65: expected 1 to 64, the context of the model")
    expectError(
      try run("--cycle", "2"), "model/config.json has no direct_decoding: expected --decoding-layers with --cycle")
    expectError(try run("--host", "no.such.host.invalid"), "no.such.host.invalid: cannot listen: there is no such host")
    expectError(try run("--api-key-file", "none"), "\(folder("none")): cannot be read: No such file or directory")
    try folder.write("keys", text: "\n")
    expectError(try run("--api-key-file", "keys"), "keys: has no keys: expected one on each line")
    try folder.write("keys", text: "a b\n")
    expectError(
      try run("--api-key-file", "keys"),
      "keys: a key is empty or has characters that a header cannot: expected ASCII without spaces")
    expectError(
      try run("--api-key", ""),
      "--api-key: a key is empty or has characters that a header cannot: expected ASCII without spaces", status: 64)
  }

  @Test func keyOfTheEnvironment_isRead() async throws {
    for key in ["", "a b"] {
      let result = try Executable.run(
        shell: "WIDEBAND_API_KEY='\(key)' exec $w", ["serve", "--port", "0", "--model", "none"], in: folder.url)
      expectError(
        result, "WIDEBAND_API_KEY: a key is empty or has characters that a header cannot: expected ASCII without spaces"
      )
    }
    let running = try Executable.start(
      shell: "WIDEBAND_API_KEY=secret exec $w", ["serve", "--port", "0", "--model", "model"], in: folder.url)
    defer { running.process.terminate() }
    while running.process.isRunning, !running.errors.contains("\n") { usleep(10_000) }
    let port = try #require(running.errors.split(separator: "\n").first?.split(separator: ":").last.flatMap { Int($0) })
    let client = TestClient(port: port)
    #expect(try await client.get("/v1/models").status == 401)
    #expect(try await client.get("/v1/models", ["Authorization": "Bearer other"]).status == 401)
    #expect(try await client.get("/v1/models", ["Authorization": "Bearer secret"]).status == 200)
  }

  @Test(
    "an address of IPv6 has brackets in the URL",
    .enabled(if: FileManager.default.fileExists(atPath: "/proc/net/if_inet6")))
  func addressOfIPv6_hasBrackets() throws {
    let running = try Executable.start(
      "serve", "--port", "0", "--host", "::1", "--model", "model", input: "", in: folder.url)
    while running.process.isRunning, !running.errors.contains("\n") { usleep(10_000) }
    kill(running.process.processIdentifier, SIGTERM)
    let result = try running.wait()
    #expect(result.status == 0 && result.errors.hasPrefix("listening on http://[::1]:"), "\(result.errors)")
  }

  @Test func sizes_areReadable() throws {
    let help = try folder.run(["serve", "--help"]).output.split(whereSeparator: \.isWhitespace)
    #expect(help.joined(separator: " ").contains("as in 500MB; by default 1GB."))
  }

  @Test("a port that is taken is named before the model is loaded")
  func takenPort_isNamedFirst() throws {
    let running = try Executable.start("serve", "--port", "0", "--model", "model", input: "", in: folder.url)
    defer { running.process.terminate() }
    while running.process.isRunning, !running.errors.contains("sequences at once") { usleep(10_000) }
    let lines = running.errors.split(separator: "\n")
    let port = try #require(lines.first?.split(separator: ":").last)
    #expect(lines.last?.hasPrefix("model: context 64, 4 sequences at once, ") == true)
    expectError(
      try folder.run(["serve", "--port", String(port), "--model", "none"]),
      "127.0.0.1:\(port): cannot listen: Address already in use")
  }

  @Test func signal_endsTheServer() throws {
    let running = try Executable.start("serve", "--port", "0", "--model", "model", input: "", in: folder.url)
    while running.process.isRunning, !running.errors.contains("listening") { usleep(10_000) }
    kill(running.process.processIdentifier, SIGTERM)
    let result = try running.wait()
    #expect(result.status == 0)
    #expect(result.errors.hasPrefix("listening on http://127.0.0.1:"))
    #expect(result.errors.hasSuffix("stopping after the answers that are being written; once more to leave now\n"))
  }

  // vllm 24885
  @Test("Case 28: a second signal ends the server at once, with an answer that would take long")
  func secondSignal_endsAtOnce() throws {
    let folder = try TemporaryFolder()
    try folder.initializeChatModel(contextLength: 65_536)
    let running = try Executable.start(
      "serve", "--port", "0", "--model", "model", "--context", "65536", "--drain-timeout", "3600", input: "",
      in: folder.url)
    defer { running.process.terminate() }
    func wait(for text: String) { while running.process.isRunning, !running.errors.contains(text) { usleep(10_000) } }
    wait(for: "\n")
    let port = try #require(running.errors.split(separator: "\n").first?.split(separator: ":").last.flatMap { Int($0) })
    let connection = try LocalConnection(port: port)
    let body = #"{"prompt": "a", "max_tokens": 65000, "ignore_eos": true, "stream": true}"#
    let head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
    connection.write(Array((head + body).utf8))
    #expect(String(decoding: try connection.read(), as: UTF8.self).hasPrefix("HTTP/1.1 200"))
    kill(running.process.processIdentifier, SIGTERM)
    wait(for: "stopping")
    #expect(running.process.isRunning)
    kill(running.process.processIdentifier, SIGTERM)
    // 130 is the status of the second signal; a server whose answers have ended has 0.
    #expect(try running.wait().status == 130)
  }
}
