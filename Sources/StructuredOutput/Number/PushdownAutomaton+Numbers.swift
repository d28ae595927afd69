/// Numbers as RFC 8259 spells them, with a bounded number of digits.
extension PushdownAutomaton {
  /// Nodes of an integer: no point, no exponent, no minus sign before 0.
  mutating func integer(then next: NodeID) -> NodeID {
    let positive = integerDigits(then: next)
    return choice([positive, literal("0", then: next), literal("-", then: positive)])
  }

  /// Nodes of any number that is finite as a 64-bit floating-point number.
  mutating func number(then next: NodeID) -> NodeID {
    let digit = bytes(.digits, then: Self.end)
    let three = bytes(ByteSet(0x30...0x31), then: bytes(.digits, then: bytes(.digits, then: next)))
    let exponentDigits = choice([loop(digit, 1, 2, then: next), three])
    let sign = choice([exponentDigits, bytes(ByteSet(0x2B...0x2B, 0x2D...0x2D), then: exponentDigits)])
    let exponent = bytes(ByteSet(0x45...0x45, 0x65...0x65), then: sign)
    let afterFraction = optional(exponent, or: next)
    let fraction = literal(".", then: loop(digit, 1, JSONGrammarLimits.fractionDigits, then: afterFraction))
    let afterInteger = choice([fraction, exponent, next])
    let magnitude = choice([integerDigits(then: afterInteger), literal("0", then: afterInteger)])
    return choice([magnitude, literal("-", then: magnitude)])
  }

  /// An integer above 0.
  private mutating func integerDigits(then next: NodeID) -> NodeID {
    let digit = bytes(.digits, then: Self.end)
    return bytes(
      ByteSet(0x31...0x39), then: loop(digit, 0, JSONGrammarLimits.integerDigits - 1, then: next))
  }
}
