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
  public func send(_ bytes: [UInt8]) async throws -> Response {
    try await onThread {
      let connection = try Connection(port: port)
      try connection.write(bytes)
      return Self.response(try connection.readAll())
    }
  }

  /// Sends bytes, waits until the answer contains a text, and closes the connection when `meanwhile` returns.
  public func leave(_ bytes: [UInt8], after text: String? = nil, _ meanwhile: () async throws -> Void) async throws {
    let connection = try await onThread {
      let connection = try Connection(port: port)
      try connection.write(bytes)
      if let text { try connection.read(until: text) }
      return connection
    }
    try await meanwhile()
    connection.close()
  }

  private func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
      Thread { continuation.resume(with: Result(catching: body)) }.start()
    }
  }

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

#if canImport(Darwin)
  private let streamSocket = SOCK_STREAM
  private let noSignal: Int32 = 0
#else
  private let streamSocket = Int32(SOCK_STREAM.rawValue)
  private let noSignal = Int32(MSG_NOSIGNAL)
#endif

/// A connection to a port of this machine. One thread uses it at a time.
private final class Connection: @unchecked Sendable {
  private var descriptor: Int32

  init(port: Int) throws {
    descriptor = socket(AF_INET, streamSocket, 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard status == 0 else { throw InputError("cannot connect: \(errno)") }
    var limit = timeval(tv_sec: 60, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close() }

  func close() {
    if descriptor >= 0 { Foundation.close(descriptor) }
    descriptor = -1
  }

  func write(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, noSignal) }
      // The server may refuse a request before it has read all of it.
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }

  private func next() throws -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: 65536)
    let count = recv(descriptor, &buffer, buffer.count, 0)
    if count < 0, errno == EAGAIN { throw InputError("the server is silent") }
    return Array(buffer.prefix(max(0, count)))
  }

  func readAll() throws -> [UInt8] {
    var bytes: [UInt8] = []
    while true {
      let more = try next()
      if more.isEmpty { return bytes }
      bytes += more
    }
  }

  func read(until text: String) throws {
    var bytes: [UInt8] = []
    while bytes.firstRange(of: Array(text.utf8)) == nil {
      let more = try next()
      guard !more.isEmpty else { throw InputError("the connection ended: \(String(decoding: bytes, as: UTF8.self))") }
      bytes += more
    }
  }
}
