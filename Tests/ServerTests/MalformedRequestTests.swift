import Foundation
import TestSupport
import Testing
import WidebandCheckedInput

/// Bytes that are not HTTP/1.1.
@Suite struct MalformedRequestTests {
  private static let host = "Host: localhost\r\n"
  private static let chunked = "POST /tokenize HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n"

  @Test(
    "Bytes that are not HTTP are 400 in JSON, and the connection ends",
    arguments: [
      ("hello\r\n\r\n", "invalid HTTP method"), ("FETCH / HTTP/1.1\r\n\(host)\r\n", "invalid HTTP method"),
      ("\u{16}\u{3}\u{1}\u{2}", "invalid HTTP method"), ("GET / HTTP/9.9\r\n\(host)\r\n", "invalid HTTP version"),
      ("GET / HTTP/1.1\r\n\(host)no header\r\n\r\n", "invalid character in header"),
      ("GET / HTTP/1.1\r\n\(host)A: \(String(repeating: "a", count: 100_000))\r\n\r\n", "too many header bytes"),
      ("GET / HTTP/1.1\r\n\(host)\(String(repeating: "A: a\r\n", count: 2000))\r\n", "too many header bytes"),
      ("POST /tokenize HTTP/1.1\r\n\(host)Content-Length: -5\r\n\r\n{}", "content-length"),
      ("\(chunked)zz\r\nhello\r\n0\r\n\r\n", "chunk size"), ("\(chunked)2\r\n{}\r\nzz\r\n", "chunk size"),
    ])
  func malformedRequest_is400(_ request: String, _ reason: String) async throws {
    try await TestServer.with { server in
      let response = try await server.client.send(Array(request.utf8))
      expectInvalid(response, nil, "the request is not valid HTTP/1.1: ", request)
      #expect(response.json["error"]["message"].string?.contains(reason) == true, "\(response.text)")
      #expect(response.json["error"]["code"] == "invalid_http")
      #expect(response.headers["content-type"] == "application/json; charset=utf-8")
      #expect(response.headers["content-length"] == "\(response.body.count)")
      #expect(response.headers["connection"] == "close")
      #expect(try await server.client.get("/health").status == 200)
    }
  }

  @Test func bytesAfterARequest_followItsAnswer() async throws {
    try await TestServer.with { server in
      let request = "GET /health HTTP/1.1\r\n\(Self.host)\r\nhello\r\n\r\n"
      let answers = try await server.client.send(Array(request.utf8)).text
      let parts = answers.components(separatedBy: "HTTP/1.1 400 Bad Request\r\n")
      #expect(parts.count == 2 && parts[0].contains(#"{"status":"ok"}"#), "\(answers)")
      #expect(parts.last?.contains(#""code":"invalid_http""#) == true, "\(answers)")
    }
  }
}
