/// The tokens inside of a tag.
extension Lexer {
  private static let symbols = [
    "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", ".", ":", "|", ",", "(", ")", "[",
    "]", "{", "}",
  ].map { Array($0.utf8) }

  /// Reads tokens up to the end of the tag.
  mutating func readTag(_ start: Token.Kind, end: Token.Kind, _ closing: String) throws {
    add(start)
    let closing = Array(closing.utf8)
    var open: [UInt8] = []
    while position < source.count {
      let byte = source[position]
      if Unicode.Scalar(byte).isPythonSpace {
        if byte == UInt8(ascii: "\n") { line += 1 }
        position += 1
        continue
      }
      if open.isEmpty {
        let isSigned = byte == UInt8(ascii: "-") || (byte == UInt8(ascii: "+") && end == .blockEnd)
        if source[(isSigned ? position + 1 : position)...].starts(with: closing) {
          position += closing.count + (isSigned ? 1 : 0)
          add(end)
          return finishTag(sign: isSigned ? byte : 0, trimsLineFeed: end == .blockEnd)
        }
      }
      try token(&open)
    }
    throw failure("a tag without '\(String(decoding: closing, as: UTF8.self))'")
  }

  private mutating func token(_ open: inout [UInt8]) throws {
    let byte = source[position]
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "'"): return try string(byte)
    case UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    case UInt8(ascii: "_"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"):
      let start = position
      while position < source.count, Self.isWord(source[position]) { position += 1 }
      return add(.name(String(decoding: source[start..<position], as: UTF8.self)))
    default: break
    }
    guard let symbol = Self.symbols.first(where: { source[position...].starts(with: $0) }) else {
      throw failure(
        "unexpected character '\(String(decoding: source[position...].prefix(4), as: UTF8.self).prefix(1))'")
    }
    switch byte {
    case UInt8(ascii: "("): open.append(UInt8(ascii: ")"))
    case UInt8(ascii: "["): open.append(UInt8(ascii: "]"))
    case UInt8(ascii: "{"): open.append(UInt8(ascii: "}"))
    case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"):
      guard open.popLast() == byte else { throw failure("unexpected '\(String(UnicodeScalar(byte)))'") }
    default: break
    }
    position += symbol.count
    add(.symbol(String(decoding: symbol, as: UTF8.self)))
  }

  private static func isWord(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "_"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: false
    }
  }

  private mutating func number() throws {
    let start = position
    var isFloat = false
    while position < source.count {
      let byte = source[position]
      if byte == UInt8(ascii: "."), !isFloat, position + 1 < source.count,
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(source[position + 1])
      {
        isFloat = true
      } else if byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E"), position + 1 < source.count {
        isFloat = true
        if source[position + 1] == UInt8(ascii: "-") || source[position + 1] == UInt8(ascii: "+") { position += 1 }
      } else if !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte), byte != UInt8(ascii: "_") {
        break
      }
      position += 1
    }
    let text = String(decoding: source[start..<position].filter { $0 != UInt8(ascii: "_") }, as: UTF8.self)
    if !isFloat, let integer = Int(text) { return add(.integer(integer)) }
    guard isFloat, let value = Double(text) else { throw failure("'\(text)' is no number of 64 bits") }
    add(.float(value))
  }

  private mutating func string(_ quote: UInt8) throws {
    let startLine = line
    position += 1
    var content: [UInt8] = []
    while position < source.count, source[position] != quote {
      if source[position] == UInt8(ascii: "\n") { line += 1 }
      if source[position] == UInt8(ascii: "\\") {
        try escape(into: &content)
      } else {
        content.append(source[position])
        position += 1
      }
    }
    guard position < source.count else { throw JinjaError.syntax(line: startLine, "a string without an end") }
    position += 1
    tokens.append(Token(kind: .string(content), line: startLine))
  }

  /// One of Python's escapes; an unknown one remains as it is.
  private mutating func escape(into content: inout [UInt8]) throws {
    guard position + 1 < source.count else { throw failure("a string without an end") }
    let byte = source[position + 1]
    position += 2
    switch byte {
    case UInt8(ascii: "n"): content.append(0x0A)
    case UInt8(ascii: "t"): content.append(0x09)
    case UInt8(ascii: "r"): content.append(0x0D)
    case UInt8(ascii: "a"): content.append(0x07)
    case UInt8(ascii: "b"): content.append(0x08)
    case UInt8(ascii: "f"): content.append(0x0C)
    case UInt8(ascii: "v"): content.append(0x0B)
    case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): content.append(byte)
    case UInt8(ascii: "\n"): break
    case UInt8(ascii: "x"): try codePoint(digits: 2, into: &content)
    case UInt8(ascii: "u"): try codePoint(digits: 4, into: &content)
    case UInt8(ascii: "U"): try codePoint(digits: 8, into: &content)
    default: content += [UInt8(ascii: "\\"), byte]
    }
  }

  private mutating func codePoint(digits: Int, into content: inout [UInt8]) throws {
    let text = String(decoding: source[position...].prefix(digits), as: UTF8.self)
    guard text.utf8.count == digits, let value = UInt32(text, radix: 16), let scalar = Unicode.Scalar(value) else {
      throw failure("malformed escape '\\…\(text)' in a string")
    }
    position += digits
    content += String(scalar).utf8
  }
}
