/// Conversions, sums and products of untrusted numbers, without a trap.
///
/// `Int(_: Double)`, `+` and `*` end the process where the result does not fit. Values from files and flags use these
/// functions instead.
extension Int {
  /// `number` rounded to the nearest integer and clamped to `range`; the lower bound for NaN.
  ///
  /// For values that are only displayed, such as a duration or a count of pixels.
  public init(clamping number: Double, to range: ClosedRange<Int> = Int.min...Int.max) {
    let rounded = number.rounded()
    if let value = Int(exactly: rounded) {
      self = Swift.min(Swift.max(value, range.lowerBound), range.upperBound)
    } else {
      self = rounded > 0 ? range.upperBound : range.lowerBound
    }
  }

  /// The product of all factors; nil if it does not fit in 64 bits. A factor of 0 gives 0.
  public static func product(_ factors: some Sequence<Int>) -> Int? {
    var result = 1
    var overflows = false
    for factor in factors {
      if factor == 0 { return 0 }
      let (product, hasOverflowed) = result.multipliedReportingOverflow(by: factor)
      overflows = overflows || hasOverflowed
      result = product
    }
    return overflows ? nil : result
  }

  /// The product of all factors; nil if it does not fit in 64 bits.
  public static func product(_ factors: Int...) -> Int? { product(factors) }

  /// The sum of all terms; nil if a partial sum does not fit in 64 bits.
  public static func sum(_ terms: some Sequence<Int>) -> Int? {
    var result = 0
    for term in terms {
      let (sum, hasOverflowed) = result.addingReportingOverflow(term)
      if hasOverflowed { return nil }
      result = sum
    }
    return result
  }
}
