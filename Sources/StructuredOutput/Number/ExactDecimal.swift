import WidebandCheckedInput

/// A decimal number without rounding.
struct ExactDecimal: Equatable {
  var isNegative = false
  /// At least one digit, without zeros at the start.
  var integer: [UInt8] = [0]
  /// Without zeros at the end.
  var fraction: [UInt8] = []

  var isZero: Bool { integer == [0] && fraction.isEmpty }

  /// The number with its sign changed, but for 0.
  var negated: ExactDecimal { ExactDecimal(isNegative: !isNegative && !isZero, integer: integer, fraction: fraction) }

  /// 10 to a power, less 1.
  static func nines(_ count: Int) -> ExactDecimal { ExactDecimal(integer: Array(repeating: 9, count: count)) }
}

extension ExactDecimal {
  private static let maximumDigits = 400

  /// The number as it is spelled; nil for NaN, infinities and exponents that lead to very many digits.
  init?(_ number: JSONNumber) {
    let text = number.text.utf8.split(omittingEmptySubsequences: false) { $0 | 0x20 == UInt8(ascii: "e") }
    guard text.count <= 2, var mantissa = text.first else { return nil }
    let exponent = text.count == 2 ? Int(String(Substring(text[1]))) : 0
    guard let exponent, abs(exponent) <= Self.maximumDigits else { return nil }
    let hasSign = mantissa.first == UInt8(ascii: "-")
    if hasSign { mantissa.removeFirst() }
    let parts = mantissa.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count), mantissa.count <= Self.maximumDigits else { return nil }
    var digits = parts.joined().map { $0 &- 0x30 }
    guard !digits.isEmpty, digits.allSatisfy({ $0 <= 9 }) else { return nil }
    var point = parts[0].count + exponent
    if point < 0 {
      digits = Array(repeating: 0, count: -point) + digits
      point = 0
    }
    digits += Array(repeating: 0, count: max(0, point - digits.count))
    integer = Array(digits[..<point].drop { $0 == 0 })
    if integer.isEmpty { integer = [0] }
    fraction = Array(digits[point...])
    while fraction.last == 0 { fraction.removeLast() }
    isNegative = hasSign && !isZero
  }
}

extension ExactDecimal: Comparable {
  static func < (first: ExactDecimal, second: ExactDecimal) -> Bool {
    if first.isNegative != second.isNegative { return first.isNegative }
    if first.isNegative { return second.negated < first.negated }
    if first.integer.count != second.integer.count { return first.integer.count < second.integer.count }
    return (first.integer + first.fraction).lexicographicallyPrecedes(second.integer + second.fraction)
  }
}

/// One end of a range.
struct DecimalBound: Equatable {
  var value: ExactDecimal
  var isExclusive = false
}
