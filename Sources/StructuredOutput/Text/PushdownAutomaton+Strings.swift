/// How characters are written in JSON strings.
extension PushdownAutomaton {
  /// Scalars that need no escape.
  static let plainScalars = subtract([0x22...0x22, 0x5C...0x5C], from: 0x20...0xD7FF) + [0xE000...0x10FFFF]

  private static let hexadecimal = ByteSet(0x30...0x39, 0x41...0x46, 0x61...0x66)
  private static let shortEscapes: [UInt32: UInt8] = [
    0x22: 0x22, 0x5C: 0x5C, 0x08: 0x62, 0x0C: 0x66, 0x0A: 0x6E, 0x0D: 0x72, 0x09: 0x74,
  ]

  /// Nodes of any character: plain, or with any escape. A surrogate pair is one character; half of one is not allowed.
  mutating func anyCharacter(then next: NodeID) -> NodeID {
    let short = bytes(
      ByteSet(0x22...0x22, 0x2F...0x2F, 0x5C...0x5C, 0x62...0x62, 0x66...0x66, 0x6E...0x6E, 0x72...0x72, 0x74...0x74),
      then: next)
    // The code units of U+0000 to U+CFFF, U+D000 to U+D7FF, U+E000 to U+FFFF, and pairs.
    let two = hexadecimal(2, then: next)
    let three = hexadecimal(3, then: next)
    let low = literal("\\u", then: bytes(Self.letterD, then: bytes(Self.lowSurrogate, then: two)))
    let pair = bytes(Self.highSurrogate, then: hexadecimal(2, then: low))
    let d = bytes(Self.letterD, then: choice([bytes(ByteSet(0x30...0x37), then: two), pair]))
    let others = bytes(ByteSet(0x30...0x39, 0x41...0x43, 0x45...0x46, 0x61...0x63, 0x65...0x66), then: three)
    let unicode = literal("u", then: choice([others, d]))
    return choice([
      scalar(in: Self.plainScalars, then: next), literal("\\", then: choice([short, unicode])),
    ])
  }

  private static let letterD = ByteSet(0x44...0x44, 0x64...0x64)
  private static let highSurrogate = ByteSet(0x38...0x39, 0x41...0x42, 0x61...0x62)
  private static let lowSurrogate = ByteSet(0x43...0x46, 0x63...0x66)

  private mutating func hexadecimal(_ count: Int, then next: NodeID) -> NodeID {
    (0..<count).reduce(next) { node, _ in bytes(Self.hexadecimal, then: node) }
  }

  /// Nodes of one fixed character: plain if it needs no escape, and with the escape that JSON encoders write.
  mutating func character(_ scalar: Unicode.Scalar, then next: NodeID) -> NodeID {
    let value = scalar.value
    let plain = literal(Self.utf8(value), then: next)
    switch value {
    case 0x20..<0x7F where value != 0x22 && value != 0x5C: return plain
    case ..<0x80:
      let unicode = literal("\\u", then: codeUnit(UInt16(value), then: next))
      guard let short = Self.shortEscapes[value] else { return value == 0x7F ? choice([plain, unicode]) : unicode }
      return choice([literal([0x5C, short], then: next), unicode])
    default:
      let units = Array(Character(scalar).utf16)
      return choice([plain, units.reversed().reduce(next) { literal("\\u", then: codeUnit($1, then: $0)) }])
    }
  }

  /// Four hexadecimal digits in either case.
  private mutating func codeUnit(_ unit: UInt16, then next: NodeID) -> NodeID {
    stride(from: UInt16(0), to: 16, by: 4).reduce(next) { node, shift in
      let digit = UInt8(unit >> shift & 0xF)
      let set =
        digit < 10
        ? ByteSet(0x30 + digit...0x30 + digit) : ByteSet(0x37 + digit...0x37 + digit, 0x57 + digit...0x57 + digit)
      return bytes(set, then: node)
    }
  }

  /// Nodes of one character out of some ranges: plain outside of ASCII, with its escape where it needs one.
  mutating func character(in ranges: [ClosedRange<UInt32>], then next: NodeID) -> NodeID {
    let plain = Self.plainScalars.flatMap { whole in
      subtract(complement(of: ranges), from: whole)
    }
    let escaped = (Array(0..<0x20) + [0x22, 0x5C]).filter { value in ranges.contains { $0.contains(value) } }
    let escapes = escaped.compactMap(Unicode.Scalar.init).map { character($0, then: next) }
    return choice((plain.isEmpty ? [] : [scalar(in: plain, then: next)]) + escapes)
  }

  /// Nodes of a string in quotes.
  mutating func string(_ text: String, then next: NodeID) -> NodeID {
    let end = literal("\"", then: next)
    return literal("\"", then: text.unicodeScalars.reversed().reduce(end) { character($1, then: $0) })
  }
}
