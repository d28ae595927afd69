import Foundation

/// A strict, forward-only JSON reader that knows what it expects, for the two documents of a checkpoint.
///
/// Unlike Foundation's readers it refuses a key that occurs twice, does not round integers, and says where it stands.
struct JSONScanner {
  private let bytes: [UInt8]
  private let path: String
  private let document: String
  private var position = 0

  private static let maximumDepth = 64
  private static let delimiters = Array(" \t\n\r,:]}".utf8)
  /// What a message says was expected where `naturals` finds something else.
  private static let naturalsForm = "an array of whole numbers from 0 to \(Int.max)"

  /// - Parameters:
  ///   - bytes: the whole document.
  ///   - path: the file that messages name.
  ///   - document: what messages call the document.
  /// - Throws: `CheckpointError` if the bytes are not UTF-8.
  init(_ bytes: [UInt8], path: String, document: String) throws {
    guard String(bytes: bytes, encoding: .utf8) != nil else {
      throw CheckpointError(path, "\(document) is not UTF-8")
    }
    self.bytes = bytes
    self.path = path
    self.document = document
  }

  /// Reads an object, calling `member` with each key; `member` must read the value.
  ///
  /// - Parameters:
  ///   - what: what messages call the object.
  ///   - noun: what messages call a key.
  mutating func object(
    _ what: String, noun: String = "key", _ member: (inout JSONScanner, String) throws -> Void
  ) throws {
    try require("{", what, "an object")
    var keys: Set<String> = []
    try elements(until: "}") { scanner in
      let key = try scanner.string("a \(noun) of \(what)")
      guard keys.insert(key).inserted else {
        throw CheckpointError(scanner.path, "duplicate \(noun) \(quoted(key)) in \(what)")
      }
      try scanner.expect(":")
      try member(&scanner, key)
    }
  }

  /// Reads an array of integers from 0.
  mutating func naturals(_ what: String) throws -> [Int] {
    try require("[", what, Self.naturalsForm)
    var values: [Int] = []
    try elements(until: "]") { scanner in
      scanner.skipWhiteSpace()
      let token = scanner.token()
      guard let value = Int(token), value >= 0, token == "\(value)" else {
        throw scanner.mismatch(what, Self.naturalsForm, token)
      }
      scanner.position += token.utf8.count
      values.append(value)
    }
    return values
  }

  /// Reads a string.
  mutating func string(_ what: String) throws -> String {
    try require("\"", what, "a string")
    let start = position
    var isEscaped = false
    while let byte = peek(), byte != UInt8(ascii: "\"") {
      guard byte >= 0x20 else { throw malformed("a control character in a string") }
      isEscaped = isEscaped || byte == UInt8(ascii: "\\")
      position += byte == UInt8(ascii: "\\") ? 2 : 1
    }
    guard position < bytes.count else { throw malformed("a string without an end") }
    position += 1
    let content = bytes[start..<(position - 1)]
    guard isEscaped else { return String(decoding: content, as: UTF8.self) }
    guard let text = try? JSONDecoder().decode(String.self, from: Data([0x22] + content + [0x22])) else {
      throw malformed("an unknown escape in a string")
    }
    return text
  }

  /// Reads a value of any kind and forgets it.
  mutating func skip(depth: Int = 0) throws {
    guard depth < Self.maximumDepth else { throw malformed("more than \(Self.maximumDepth) levels") }
    skipWhiteSpace()
    switch peek() {
    case UInt8(ascii: "{"): try object("an object") { scanner, _ in try scanner.skip(depth: depth + 1) }
    case UInt8(ascii: "["):
      position += 1
      try elements(until: "]") { try $0.skip(depth: depth + 1) }
    case UInt8(ascii: "\""): _ = try string("a value")
    default:
      let token = token()
      // Numbers that nobody needs are left to Foundation; here it only has to say whether this is one.
      let isNumber = (try? JSONDecoder().decode(Double.self, from: Data(token.utf8))) != nil
      guard isNumber || ["true", "false", "null"].contains(token) else { throw malformed("no value") }
      position += token.utf8.count
    }
  }

  /// Fails unless only white space is left.
  mutating func end() throws {
    skipWhiteSpace()
    guard position == bytes.count else { throw malformed("text after the end") }
  }

  /// Reads what stands between an opening bracket, which has been read, and `close`.
  private mutating func elements(
    until close: Unicode.Scalar, _ element: (inout JSONScanner) throws -> Void
  ) throws {
    skipWhiteSpace()
    if peek() == UInt8(ascii: close) {
      position += 1
      return
    }
    while true {
      try element(&self)
      skipWhiteSpace()
      guard let byte = peek(), byte == UInt8(ascii: ",") || byte == UInt8(ascii: close) else {
        throw malformed("neither ',' nor '\(close)'")
      }
      position += 1
      if byte == UInt8(ascii: close) { return }
    }
  }

  /// Reads the first character of a value, or says what stands there instead of `form`.
  private mutating func require(_ character: Unicode.Scalar, _ what: String, _ form: String) throws {
    skipWhiteSpace()
    guard peek() == UInt8(ascii: character) else { throw mismatch(what, form, token()) }
    position += 1
  }

  private mutating func expect(_ character: Unicode.Scalar) throws {
    skipWhiteSpace()
    guard peek() == UInt8(ascii: character) else { throw malformed("no '\(character)'") }
    position += 1
  }

  /// The text from here to the next delimiter.
  private func token() -> String {
    String(decoding: bytes[min(position, bytes.count)...].prefix { !Self.delimiters.contains($0) }, as: UTF8.self)
  }

  private func malformed(_ found: String) -> CheckpointError {
    CheckpointError(path, "\(document) is not valid JSON: \(found) at byte \(position)")
  }

  private func mismatch(_ what: String, _ form: String, _ token: String) -> CheckpointError {
    token.isEmpty
      ? malformed("no value for \(what)")
      : CheckpointError(path, "\(what): expected \(form), found \(quoted(token))")
  }

  private mutating func skipWhiteSpace() {
    while let byte = peek(), [0x20, 0x09, 0x0A, 0x0D].contains(byte) { position += 1 }
  }

  private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }
}
