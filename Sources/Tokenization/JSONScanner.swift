/// A strict, forward-only JSON reader over bytes, for files whose bulk is two flat collections.
///
/// Small parts are read as ``JSONValue``; a caller reads large ones member by member, into buffers it reuses. A copy of
/// the scanner is a bookmark. Every error names the file, line and column.
struct JSONScanner {
  private let bytes: Bytes
  let file: String
  private(set) var position = 0

  private static let maximumDepth = 64

  /// - Parameter bytes: the whole document, valid UTF-8.
  init(_ bytes: Bytes, file: String) {
    self.bytes = bytes
    self.file = file
  }

  /// The number of bytes in the document.
  var count: Int { bytes.count }

  /// An error at the current position.
  func failure(_ message: String) -> TokenizationError {
    let before = bytes[..<min(position, bytes.count)]
    let line = before.count { $0 == UInt8(ascii: "\n") } + 1
    let column = position - ((before.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1) + 1
    return TokenizationError("\(file): malformed JSON at line \(line), column \(column): \(message)")
  }

  /// Reads an object, calling `member` with each key in a reused buffer; `member` must read the value.
  mutating func object(_ member: (inout JSONScanner, [UInt8]) throws -> Void) throws {
    var key: [UInt8] = []
    try collection(open: "{", close: "}") { scanner in
      key.removeAll(keepingCapacity: true)
      try scanner.string(into: &key)
      try scanner.expect(":")
      try member(&scanner, key)
    }
  }

  /// Reads an array; `element` must read one element.
  mutating func array(_ element: (inout JSONScanner) throws -> Void) throws {
    try collection(open: "[", close: "]", element)
  }

  /// Appends the content of a string, unescaped, as UTF-8.
  mutating func string(into output: inout [UInt8]) throws {
    skipWhiteSpace()
    guard peek() == UInt8(ascii: "\"") else { throw failure("expected a string") }
    position += 1
    while true {
      let start = position
      while position < bytes.count, bytes[position] != UInt8(ascii: "\""), bytes[position] != UInt8(ascii: "\\"),
        bytes[position] >= 0x20
      { position += 1 }
      output.append(contentsOf: bytes[start..<position])
      guard let byte = peek() else { throw failure("unterminated string") }
      guard byte >= 0x20 else { throw failure("control character in a string") }
      position += 1
      if byte == UInt8(ascii: "\"") { return }
      try escape(into: &output)
    }
  }

  /// Reads a value of any kind.
  mutating func value(depth: Int = 0) throws -> JSONValue {
    guard depth < Self.maximumDepth else { throw failure("more than \(Self.maximumDepth) levels") }
    skipWhiteSpace()
    switch peek() {
    case UInt8(ascii: "{"):
      var members: [String: JSONValue] = [:]
      try object { scanner, key in
        let name = String(decoding: key, as: UTF8.self)
        guard members[name] == nil else { throw scanner.failure("duplicate key \"\(name)\"") }
        members[name] = try scanner.value(depth: depth + 1)
      }
      return .object(members)
    case UInt8(ascii: "["):
      var elements: [JSONValue] = []
      try array { elements.append(try $0.value(depth: depth + 1)) }
      return .array(elements)
    case UInt8(ascii: "\""):
      var content: [UInt8] = []
      try string(into: &content)
      return .string(String(decoding: content, as: UTF8.self))
    case UInt8(ascii: "t"): return try literal("true", .boolean(true))
    case UInt8(ascii: "f"): return try literal("false", .boolean(false))
    case UInt8(ascii: "n"): return try literal("null", .null)
    default: return try number()
    }
  }

  /// Passes over a value that will be read from a bookmark.
  mutating func skip() throws {
    skipWhiteSpace()
    var depth = 0
    repeat {
      guard let byte = peek() else { throw failure("unexpected end of the document") }
      position += 1
      switch byte {
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
      case UInt8(ascii: "\""):
        while let inner = peek(), inner != UInt8(ascii: "\"") { position += inner == UInt8(ascii: "\\") ? 2 : 1 }
        position += 1
      default: break
      }
    } while depth > 0
  }

  /// Whether the next value is an array; nothing is read.
  mutating func isAtArray() -> Bool {
    skipWhiteSpace()
    return peek() == UInt8(ascii: "[")
  }

  /// Fails unless only white space is left.
  mutating func end() throws {
    skipWhiteSpace()
    guard position == bytes.count else { throw failure("unexpected text after the document") }
  }

  private mutating func collection(
    open: Unicode.Scalar, close: Unicode.Scalar, _ element: (inout JSONScanner) throws -> Void
  ) throws {
    try expect(open)
    skipWhiteSpace()
    if peek() == UInt8(ascii: close) {
      position += 1
      return
    }
    while true {
      try element(&self)
      skipWhiteSpace()
      guard let byte = peek(), byte == UInt8(ascii: ",") || byte == UInt8(ascii: close) else {
        throw failure("expected ',' or '\(close)'")
      }
      position += 1
      if byte == UInt8(ascii: close) { return }
    }
  }

  private mutating func escape(into output: inout [UInt8]) throws {
    guard let byte = peek() else { throw failure("unterminated string") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): output.append(byte)
    case UInt8(ascii: "b"): output.append(0x08)
    case UInt8(ascii: "f"): output.append(0x0C)
    case UInt8(ascii: "n"): output.append(0x0A)
    case UInt8(ascii: "r"): output.append(0x0D)
    case UInt8(ascii: "t"): output.append(0x09)
    case UInt8(ascii: "u"):
      var scalar = try codeUnit()
      if scalar >> 10 == 0x36, peek() == UInt8(ascii: "\\") {
        position += 1
        guard peek() == UInt8(ascii: "u") else { throw failure("unpaired surrogate") }
        position += 1
        let low = try codeUnit()
        guard low >> 10 == 0x37 else { throw failure("unpaired surrogate") }
        scalar = 0x10000 + (scalar & 0x3FF) << 10 + (low & 0x3FF)
      }
      guard Unicode.Scalar(scalar) != nil else { throw failure("unpaired surrogate") }
      UTF8Text.append(scalar, to: &output)
    default:
      position -= 1
      throw failure("unknown escape")
    }
  }

  private mutating func codeUnit() throws -> UInt32 {
    var unit: UInt32 = 0
    for _ in 0..<4 {
      switch peek() {
      case let digit? where (0x30...0x39).contains(digit): unit = unit << 4 | UInt32(digit - 0x30)
      case let letter? where (0x61...0x66).contains(letter | 0x20): unit = unit << 4 | UInt32((letter | 0x20) - 0x57)
      default: throw failure("expected four hexadecimal digits")
      }
      position += 1
    }
    return unit
  }

  private mutating func literal(_ spelling: String, _ value: JSONValue) throws -> JSONValue {
    guard bytes[position...].starts(with: spelling.utf8) else { throw failure("expected a value") }
    position += spelling.utf8.count
    return value
  }

  private mutating func number() throws -> JSONValue {
    let start = position
    if peek() == UInt8(ascii: "-") { position += 1 }
    let firstDigit = position
    digits()
    guard position > firstDigit, position == firstDigit + 1 || bytes[firstDigit] != UInt8(ascii: "0") else {
      throw failure(position == start ? "expected a value" : "malformed number")
    }
    if let byte = peek(), byte == UInt8(ascii: ".") || byte | 0x20 == UInt8(ascii: "e") {
      while let byte = peek(), [0x2B, 0x2D, 0x2E, 0x45, 0x65].contains(byte) || (0x30...0x39).contains(byte) {
        position += 1
      }
      guard let real = Double(String(decoding: bytes[start..<position], as: UTF8.self)) else {
        throw failure("malformed number")
      }
      return .number(real)
    }
    guard let integer = Int(String(decoding: bytes[start..<position], as: UTF8.self)) else {
      throw failure("integer out of range")
    }
    return .integer(integer)
  }

  /// Reads an integer from 0 to `limit`, or returns nil, with the position at the value, when it is something else.
  mutating func index(upTo limit: Int) -> Int? {
    skipWhiteSpace()
    let start = position
    var value = 0
    while let byte = peek(), (0x30...0x39).contains(byte), value <= limit {
      value = value * 10 + Int(byte - 0x30)
      position += 1
    }
    let isPlain = peek().map { [0x20, 0x09, 0x0A, 0x0D, 0x2C, 0x7D, 0x5D].contains($0) } ?? true
    guard position > start, value <= limit, isPlain else {
      position = start
      return nil
    }
    return value
  }

  private mutating func digits() {
    while let byte = peek(), (0x30...0x39).contains(byte) { position += 1 }
  }

  private mutating func expect(_ character: Unicode.Scalar) throws {
    skipWhiteSpace()
    guard peek() == UInt8(ascii: character) else { throw failure("expected '\(character)'") }
    position += 1
  }

  @inline(__always)
  private mutating func skipWhiteSpace() {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x09, 0x0A, 0x0D: position += 1
      default: return
      }
    }
  }

  @inline(__always)
  private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }
}
