import TestSupport
import Testing
import WidebandCheckedInput

@Suite("Pages of other origins") struct BrowserTests {
  /// A request with these headers alone.
  private func send(_ server: TestServer, _ headers: [String], _ body: String? = nil) async throws
    -> TestClient.Response
  {
    let start = body == nil ? "GET /v1/models HTTP/1.1" : "POST /tokenize HTTP/1.1"
    let length = body.map { ["Content-Length: \($0.utf8.count)"] } ?? []
    let head = ([start, "Connection: close"] + headers + length).joined(separator: "\r\n")
    return try await server.client.send(Array((head + "\r\n\r\n" + (body ?? "")).utf8))
  }

  @Test("a name that is not this machine's is refused, unless a key is needed")
  func otherNames_areRefused() async throws {
    try await TestServer.with { server async throws in
      for name in ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8080"] {
        #expect(try await send(server, ["Host: \(name)"]).status == 200, "\(name)")
      }
      for name in ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "0.0.0.0"] {
        let answer = try await send(server, ["Host: \(name)"])
        #expect(answer.status == 403 && answer.json["error"]["code"] == "host_not_allowed", "\(name)")
        #expect(
          answer.json["error"]["message"].string
            == "the header Host is '\(name)': expected localhost, 127.0.0.1 or [::1]")
      }
    }
    try await TestServer.with({ options, _ in options.keys = ["k"] }) { server async throws in
      #expect(try await send(server, ["Host: proxy.example", "Authorization: Bearer k"]).status == 200)
    }
  }

  @Test("a body that a page may send anywhere is refused from other origins")
  func bodiesOfOtherPages_areRefused() async throws {
    let body = #"{"prompt": "a"}"#
    let other = "Origin: http://evil.example"
    try await TestServer.with { server async throws in
      for type in [nil, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"] {
        let type = type.map { ["Content-Type: \($0)"] } ?? []
        let refused = try await send(server, ["Host: localhost", other] + type, body)
        #expect(refused.status == 415 && refused.json["error"]["code"] == "unsupported_media_type", "\(type)")
        // A program, as curl -d, and the server's own page.
        #expect(try await send(server, ["Host: localhost"] + type, body).status == 200)
        let own = ["Host: localhost:1", "Origin: http://localhost:1"]
        #expect(try await send(server, own + type, body).status == 200)
      }
      let json = ["Host: localhost", other, "Content-Type: Application/JSON ; charset=utf-8"]
      #expect(try await send(server, json, body).status == 200)
    }
    for allowed in ["*", "http://evil.example"] {
      try await TestServer.with({ options, _ in options.allowedOrigin = allowed }) { server async throws in
        #expect(try await send(server, ["Host: localhost", other], body).status == 200)
      }
    }
  }
}
