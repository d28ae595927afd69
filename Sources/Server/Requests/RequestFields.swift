import Hummingbird
import NIOCore
import WidebandCheckedInput

/// The members of a request's body. A member that is null counts as absent; members that nobody reads are ignored.
struct RequestFields {
  let root: JSONNode

  /// Parses a body.
  ///
  /// - Throws: ``APIError`` for a body that is not a JSON object in UTF-8.
  init(_ body: ByteBuffer) throws {
    do {
      let value = try JSONValue(parsing: body.readableBytesView, file: "request body")
      root = JSONNode(value, file: "request body")
      guard case .object = value else { throw root.failure(expected: "an object") }
    } catch { throw APIError.invalid("\(error)") }
  }

  /// The value of a field; nil where it is absent.
  ///
  /// - Throws: ``APIError`` that names the field, if `read` fails.
  func read<Value>(_ name: String, _ read: (JSONNode) throws -> Value) throws -> Value? {
    do { return try root.member(name).map(read) } catch let error as APIError { throw error } catch {
      throw APIError.invalid("\(error)", parameter: name)
    }
  }

  /// The value of a field that must be there.
  func required<Value>(_ name: String, _ read: (JSONNode) throws -> Value) throws -> Value {
    guard let value = try self.read(name, read) else {
      throw APIError.invalid("request body: \(name) is missing", parameter: name)
    }
    return value
  }

  func string(_ name: String) throws -> String? { try read(name) { try $0.string() } }

  func flag(_ name: String) throws -> Bool { try read(name) { try $0.boolean() } ?? false }

  func integer(_ name: String, _ what: String, in range: ClosedRange<Int>) throws -> Int? {
    try read(name) { try $0.integer(what, in: range) }
  }

  func number(_ name: String, in range: ClosedRange<Double>) throws -> Double? {
    try read(name) { try $0.number(in: range) }
  }

  /// Refuses a field that would change the answer, and that this server does not have.
  ///
  /// - Parameter changes: whether a value would; any does unless told otherwise.
  func refuse(_ name: String, _ reason: String, if changes: (JSONValue) -> Bool = { _ in true }) throws {
    if let value = try root.member(name)?.value, changes(value) {
      throw APIError.unsupported("\(name) is not supported: \(reason)", parameter: name)
    }
  }
}

/// Limits of a request.
enum Limit {
  static let bodyBytes = 16 << 20
  /// Bytes of a body that is too large which are read before it is refused.
  static let discardedBytes = 256 << 20
  /// Choices of a prompt.
  static let choices = 1...16
  /// Choices of all prompts.
  static let sequences = 1024
  static let stopStrings = 16
  static let stopTokens = 64
  static let stopStringBytes = 1024
  static let logprobs = 0...20
  static let tools = 128
  static let modelNameBytes = 256
}
