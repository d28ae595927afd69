extension JSONScanner {
  /// Reads the rest of an escape sequence, after the backslash.
  ///
  /// - Returns: false for half of a surrogate pair, which is encoded like any other scalar value and is not UTF-8.
  mutating func escape(into output: inout [UInt8]) throws -> Bool {
    guard let byte = peek() else { throw failure("a string without an end") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): output.append(byte)
    case UInt8(ascii: "b"): output.append(0x08)
    case UInt8(ascii: "f"): output.append(0x0C)
    case UInt8(ascii: "n"): output.append(0x0A)
    case UInt8(ascii: "r"): output.append(0x0D)
    case UInt8(ascii: "t"): output.append(0x09)
    case UInt8(ascii: "u"):
      let value = try scalarValue()
      if let scalar = Unicode.Scalar(value) {
        output.append(contentsOf: String(scalar).utf8)
        return true
      }
      output += [UInt8(0xE0 | value >> 12), UInt8(0x80 | value >> 6 & 0x3F), UInt8(0x80 | value & 0x3F)]
      return false
    default:
      position -= 1
      throw failure("an unknown escape in a string")
    }
    return true
  }

  /// Reads four hexadecimal digits, and the second escape of a surrogate pair where they are the first half of one.
  private mutating func scalarValue() throws -> UInt32 {
    let first = try codeUnit()
    guard first >> 10 == 0x36, peek() == UInt8(ascii: "\\") else { return first }
    let bookmark = position
    position += 1
    guard peek() == UInt8(ascii: "u") else {
      position = bookmark
      return first
    }
    position += 1
    let second = try codeUnit()
    guard second >> 10 == 0x37 else {
      position = bookmark
      return first
    }
    return 0x10000 + (first & 0x3FF) << 10 + (second & 0x3FF)
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
}
