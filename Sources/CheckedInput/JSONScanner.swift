/// A forward-only JSON reader over bytes: strict about the syntax, lenient about values that are skipped.
///
/// Small documents are read whole as ``JSONValue``; large ones member by member, into buffers that the caller reuses. A
/// copy of the scanner is a bookmark. Every error names the file, line and column. As in Python, numbers may be of any
/// size, and NaN, Infinity and -Infinity are numbers.
public struct JSONScanner {
  let bytes: UnsafeBufferPointer<UInt8>
  /// The document's name in messages.
  public let file: String
  private let line: Int?
  /// The offset of the next byte.
  var position = 0

  static let maximumDepth = 128

  /// - Parameters:
  ///   - bytes: the whole document, valid UTF-8, which must outlive the scanner.
  ///   - file: the document's name in messages.
  ///   - line: the number of the document's line, for files with one document per line.
  public init(_ bytes: UnsafeBufferPointer<UInt8>, file: String, line: Int? = nil) {
    self.bytes = bytes
    self.file = file
    self.line = line
  }

  /// The number of bytes in the document.
  public var count: Int { bytes.count }

  /// An error at the current position.
  public func failure(_ message: String) -> InputError {
    let before = bytes[..<min(position, bytes.count)]
    let row = line ?? before.count { $0 == UInt8(ascii: "\n") } + 1
    let column = before.count - ((before.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1) + 1
    return InputError("\(file): line \(row), column \(column): malformed JSON: \(message)")
  }

  /// Reads an object, calling `member` with each key in a reused buffer; `member` must read the value.
  ///
  /// A key with half of a surrogate pair is given as bytes that are not UTF-8, which equal no name.
  public mutating func object(_ member: (inout JSONScanner, [UInt8]) throws -> Void) throws {
    var key: [UInt8] = []
    try collection(open: "{", close: "}") { scanner in
      key.removeAll(keepingCapacity: true)
      scanner.skipWhiteSpace()
      _ = try scanner.string(into: &key)
      try scanner.expect(":")
      try member(&scanner, key)
    }
  }

  /// Reads an array; `element` must read one element.
  public mutating func array(_ element: (inout JSONScanner) throws -> Void) throws {
    try collection(open: "[", close: "]", element)
  }

  /// Appends the content of a string, unescaped, as UTF-8.
  ///
  /// - Returns: false if it contains half of a surrogate pair; the appended bytes are not UTF-8 then.
  public mutating func string(into output: inout [UInt8]) throws -> Bool {
    guard isAtString() else { throw failure("expected a string") }
    position += 1
    var isText = true
    while true {
      let start = position
      while position < bytes.count, bytes[position] != UInt8(ascii: "\""), bytes[position] != UInt8(ascii: "\\"),
        bytes[position] >= 0x20
      { position += 1 }
      output.append(contentsOf: bytes[start..<position])
      guard let byte = peek() else { throw failure("a string without an end") }
      guard byte >= 0x20 else { throw failure("a control character in a string") }
      position += 1
      if byte == UInt8(ascii: "\"") { return isText }
      isText = try escape(into: &output) && isText
    }
  }

  /// Reads a value of any kind.
  public mutating func value() throws -> JSONValue { try value(depth: 0) }

  private mutating func value(depth: Int) throws -> JSONValue {
    guard depth < Self.maximumDepth else { throw failure("more than \(Self.maximumDepth) levels") }
    skipWhiteSpace()
    switch peek() {
    case UInt8(ascii: "{"):
      var members = JSONObject()
      try object { scanner, key in
        members[String(decoding: key, as: UTF8.self)] = try scanner.value(depth: depth + 1)
      }
      return .object(members)
    case UInt8(ascii: "["):
      var elements: [JSONValue] = []
      try array { elements.append(try $0.value(depth: depth + 1)) }
      return .array(elements)
    case UInt8(ascii: "\""):
      var content: [UInt8] = []
      return try string(into: &content) ? .string(String(decoding: content, as: UTF8.self)) : .loneSurrogate
    case UInt8(ascii: "t"): return try literal("true", .boolean(true))
    case UInt8(ascii: "f"): return try literal("false", .boolean(false))
    case UInt8(ascii: "n"): return try literal("null", .null)
    default: return .number(JSONNumber(String(decoding: try number(), as: UTF8.self)))
    }
  }

  /// Skips a value of any kind, which must be well-formed.
  public mutating func skip() throws { try skip(depth: 0) }

  private mutating func skip(depth: Int) throws {
    guard depth < Self.maximumDepth else { throw failure("more than \(Self.maximumDepth) levels") }
    skipWhiteSpace()
    switch peek() {
    case UInt8(ascii: "{"): try object { scanner, _ in try scanner.skip(depth: depth + 1) }
    case UInt8(ascii: "["): try array { try $0.skip(depth: depth + 1) }
    case UInt8(ascii: "\""):
      var ignored: [UInt8] = []
      _ = try string(into: &ignored)
    case UInt8(ascii: "t"): _ = try literal("true", .boolean(true))
    case UInt8(ascii: "f"): _ = try literal("false", .boolean(false))
    case UInt8(ascii: "n"): _ = try literal("null", .null)
    default: _ = try number()
    }
  }

  /// Whether the next value is an object; nothing is read.
  public mutating func isAtObject() -> Bool { isAt("{") }

  /// Whether the next value is a string; nothing is read.
  public mutating func isAtString() -> Bool { isAt("\"") }

  /// Whether the next value is an array; nothing is read.
  public mutating func isAtArray() -> Bool { isAt("[") }

  private mutating func isAt(_ character: Unicode.Scalar) -> Bool {
    skipWhiteSpace()
    return peek() == UInt8(ascii: character)
  }

  /// The next value as a message shows it, for a value of an unexpected kind. Lists and objects are not read.
  public mutating func summary() throws -> String {
    if isAtArray() { return "a list" }
    if isAtObject() { return "an object" }
    return try value().summary
  }

  /// Fails unless only white space is left.
  public mutating func end() throws {
    skipWhiteSpace()
    guard position == bytes.count else { throw failure("text after the end of the document") }
  }

  /// Reads an integer from 0 to `limit`. Of any other value nothing is read, and nil is returned.
  public mutating func index(upTo limit: Int) -> Int? {
    skipWhiteSpace()
    let start = position
    var value = 0
    while let byte = peek(), (0x30...0x39).contains(byte), value <= limit / 10 + 1 {
      value = value * 10 + Int(byte - 0x30)
      position += 1
    }
    let isPlain = peek().map { [0x20, 0x09, 0x0A, 0x0D, 0x2C, 0x7D, 0x5D].contains($0) } ?? true
    let hasLeadingZero = position > start + 1 && bytes[start] == UInt8(ascii: "0")
    guard position > start, value <= limit, isPlain, !hasLeadingZero else {
      position = start
      return nil
    }
    return value
  }

  private mutating func collection(
    open: Unicode.Scalar, close: Unicode.Scalar, _ element: (inout JSONScanner) throws -> Void
  ) throws {
    try expect(open)
    if isAt(close) {
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

  private mutating func literal(_ spelling: StaticString, _ value: JSONValue) throws -> JSONValue {
    let length = spelling.utf8CodeUnitCount
    guard bytes[position...].prefix(length).elementsEqual(UnsafeBufferPointer(start: spelling.utf8Start, count: length))
    else { throw failure("expected a value") }
    position += length
    return value
  }

  /// Reads a number and returns its bytes.
  private mutating func number() throws -> UnsafeBufferPointer<UInt8>.SubSequence {
    let start = position
    if peek() == UInt8(ascii: "-") { position += 1 }
    let afterSign = position
    for name in (start == afterSign ? ["NaN", "Infinity"] : ["Infinity"])
    where bytes[position...].starts(with: name.utf8) {
      position += name.utf8.count
      return bytes[start..<position]
    }
    let integers = digits()
    guard integers > 0 else { throw failure(position == start ? "expected a value" : "a number without digits") }
    guard integers == 1 || bytes[afterSign] != UInt8(ascii: "0") else { throw failure("a number that begins with 0") }
    if peek() == UInt8(ascii: ".") {
      position += 1
      guard digits() > 0 else { throw failure("a number without digits after its point") }
    }
    if let byte = peek(), byte | 0x20 == UInt8(ascii: "e") {
      position += 1
      if let sign = peek(), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { position += 1 }
      guard digits() > 0 else { throw failure("a number without digits in its exponent") }
    }
    return bytes[start..<position]
  }

  private mutating func digits() -> Int {
    let start = position
    while let byte = peek(), (0x30...0x39).contains(byte) { position += 1 }
    return position - start
  }

  private mutating func expect(_ character: Unicode.Scalar) throws {
    guard isAt(character) else { throw failure("expected '\(character)'") }
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
  func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }
}

extension UnsafeBufferPointer<UInt8> {
  /// The bytes after a byte order mark, which some editors and exporters write before UTF-8 text.
  package var withoutByteOrderMark: Self {
    starts(with: [0xEF, 0xBB, 0xBF]) ? UnsafeBufferPointer(rebasing: dropFirst(3)) : self
  }
}
