import Foundation
import WidebandCheckedInput

/// A client of plain sockets: one connection for each request.
public struct TestClient: Sendable {
  /// The port.
  public let port: Int

  /// A client of a port of this machine.
  public init(port: Int) { self.port = port }

  /// An answer.
  public struct Response: Sendable {
    /// The status.
    public fileprivate(set) var status = 0
    /// The headers, by names in lower case.
    public fileprivate(set) var headers: [String: String] = [:]
    /// The body.
    public fileprivate(set) var body: [UInt8] = []

    /// The body as text.
    public var text: String { String(decoding: body, as: UTF8.self) }
    /// The body as a JSON value; null if it is none.
    public var json: JSONValue { (try? JSONValue(parsing: body, file: "response")) ?? .null }
    /// The data of server-sent events.
    public var events: [String] {
      text.components(separatedBy: "\n\n").filter { $0.hasPrefix("data: ") }.map { String($0.dropFirst(6)) }
    }
    /// The objects among them.
    public var objects: [JSONValue] { events.compactMap { try? JSONValue(parsing: $0.utf8, file: "event") } }
  }

  /// Gets a document.
  public func get(_ path: String, _ headers: [String: String] = [:]) async throws -> Response {
    try await send(request("GET", path, headers))
  }

  /// Posts a JSON document.
  public func post(_ path: String, _ body: String, _ headers: [String: String] = [:]) async throws -> Response {
    try await send(request("POST", path, headers, Array(body.utf8)))
  }

  /// The bytes of a request.
  public func request(_ method: String, _ path: String, _ headers: [String: String] = [:], _ body: [UInt8] = [])
    -> [UInt8]
  {
    var head = "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    for (name, value) in headers { head += "\(name): \(value)\r\n" }
    if method == "POST" { head += "Content-Length: \(body.count)\r\nContent-Type: application/json\r\n" }
    return Array((head + "\r\n").utf8) + body
  }

  /// Sends bytes, and reads a response until its end.
  public func send(_ bytes: [UInt8]) async throws -> Response { try await open(bytes) { try await $0.readAll() } }

  /// Sends bytes, and closes the connection when `body` returns, however much of the answer it has read.
  ///
  /// - Parameter receiveBuffer: the bytes that the system receives for a client which does not read; nil for its choice.
  public func open<Value>(
    _ bytes: [UInt8], receiveBuffer: Int? = nil, _ body: (OpenAnswer) async throws -> Value
  ) async throws -> Value {
    let port = port
    let connection = try await onThread {
      let connection = try LocalConnection(port: port, receiveBuffer: receiveBuffer)
      connection.write(bytes)
      return connection
    }
    defer { connection.close() }
    return try await body(OpenAnswer(connection))
  }

  /// An answer as it arrives. One task reads it at a time.
  public final class OpenAnswer: @unchecked Sendable {
    private let connection: LocalConnection
    private var bytes: [UInt8] = []

    fileprivate init(_ connection: LocalConnection) { self.connection = connection }

    /// Reads until a condition holds for what has arrived, and returns that.
    public func read(until condition: @escaping @Sendable (Response) -> Bool) async throws -> Response {
      try await onThread { [self] in
        while true {
          let response = TestClient.response(bytes)
          if condition(response) { return response }
          let more = try connection.read()
          guard !more.isEmpty else { throw InputError("the connection ended: \(response.text)") }
          bytes += more
        }
      }
    }

    /// Closes the connection.
    public func close() { connection.close() }

    /// Reads until the server closes the connection.
    public func readAll() async throws -> Response {
      try await onThread { [self] in
        while true {
          let more = try connection.read()
          if more.isEmpty { return TestClient.response(bytes) }
          bytes += more
        }
      }
    }
  }

  /// The response of these bytes, which may be the beginning of one; its status is 0 before its headers are whole.
  private static func response(_ bytes: [UInt8]) -> Response {
    var response = Response()
    guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return response }
    let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
    response.status = Int(lines[0].split(separator: " ")[1]) ?? 0
    for line in lines.dropFirst() {
      let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
      response.headers[parts[0].lowercased()] = parts.count > 1 ? parts[1] : ""
    }
    var rest = bytes[end.upperBound...]
    guard response.headers["transfer-encoding"] == "chunked" else {
      response.body = Array(rest)
      return response
    }
    while let line = rest.firstRange(of: Array("\r\n".utf8)),
      let size = Int(String(decoding: rest[..<line.lowerBound], as: UTF8.self), radix: 16), size > 0
    {
      response.body += rest[line.upperBound...].prefix(size)
      rest = rest[line.upperBound...].dropFirst(size + 2)
    }
    return response
  }
}

/// Runs a body that blocks, on a thread of its own.
private func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
  try await withCheckedThrowingContinuation { continuation in
    Thread { continuation.resume(with: Result(catching: body)) }.start()
  }
}
