import WidebandCheckedInput

/// Strings and numbers.
extension SchemaCompiler {
  /// The formats, as patterns. Dates are those of the calendar, times have an offset, as RFC 3339 says; leap seconds
  /// are left out.
  private static let formats: [String: String] = {
    let year = "(?:[1-9]\\d{3}|0[1-9]\\d\\d|00[1-9]\\d|000[1-9])"
    let leapYear = "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
    let day = "(?:0[1-9]|1\\d|2[0-8])"
    let long = "(?:0[13578]|1[02])-(?:\(day)|29|30|31)"
    let short = "(?:0[469]|11)-(?:\(day)|29|30)"
    let date = "(?:\(year)-(?:\(long)|\(short)|02-\(day))|\(leapYear)-02-29)"
    let hour = "(?:[01]\\d|2[0-3])"
    let time = "\(hour):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?(?:Z|[+-]\(hour):[0-5]\\d)"
    let digit = "[0-9a-fA-F]"
    return [
      "date": "^\(date)$", "time": "^\(time)$", "date-time": "^\(date)T\(time)$",
      "uuid": "^\(digit){8}(?:-\(digit){4}){3}-\(digit){12}$",
    ]
  }()

  mutating func string(_ schema: SchemaNode, then next: NodeID) throws(JSONGrammarError) -> NodeID {
    if let format = try schema.string("format") {
      guard let pattern = Self.formats[format] else {
        throw schema.unsupported("format", "with \(quoted(format)): expected date, date-time, time or uuid")
      }
      return try string(schema, matching: pattern, of: "format", then: next)
    }
    if let pattern = try schema.string("pattern") {
      return try string(schema, matching: pattern, of: "pattern", then: next)
    }
    return automaton.anyString(try schema.count("minLength") ?? 0, try schema.count("maxLength"), then: next)
  }

  private mutating func string(
    _ schema: SchemaNode, matching pattern: String, of keyword: String, then next: NodeID
  ) throws(JSONGrammarError) -> NodeID {
    if let other = Keywords.string.sorted().first(where: { $0 != keyword && schema[$0] != nil }) {
      throw schema.unsupported(other, "together with \(keyword)")
    }
    do {
      return try automaton.string(matching: pattern, then: next)
    } catch {
      throw schema.unsupported(keyword, error.reason)
    }
  }

  mutating func number(_ schema: SchemaNode, isInteger: Bool, then next: NodeID) throws(JSONGrammarError) -> NodeID {
    guard Keywords.number.contains(where: { schema[$0] != nil }) else {
      return isInteger ? automaton.integer(then: next) : automaton.number(then: next)
    }
    var lowest: DecimalBound?
    var highest: DecimalBound?
    for (keyword, isExclusive) in [("minimum", false), ("exclusiveMinimum", true)] {
      guard let value = try schema.decimal(keyword), value >= lowest?.value ?? value else { continue }
      lowest = DecimalBound(value: value, isExclusive: isExclusive)
    }
    for (keyword, isExclusive) in [("maximum", false), ("exclusiveMaximum", true)] {
      guard let value = try schema.decimal(keyword), value <= highest?.value ?? value else { continue }
      highest = DecimalBound(value: value, isExclusive: isExclusive)
    }
    let bounds = [lowest, highest].compactMap(\.self)
    var range: DecimalRange
    if isInteger {
      range = DecimalRange(lowest: lowest, highest: highest, digits: JSONGrammarLimits.integerDigits)
    } else {
      // With 15 significant digits, different decimal numbers are different floating-point numbers.
      let integers = bounds.map(\.value.integer.count).max() ?? 1
      let fractions = bounds.map(\.value.fraction.count).max() ?? 0
      guard integers + fractions <= 15 else {
        let keyword = Keywords.number.sorted().first { schema[$0] != nil } ?? "minimum"
        throw schema.unsupported(keyword, "for numbers, with more than 15 digits")
      }
      range = DecimalRange(lowest: lowest, highest: highest, digits: 15)
      range.fractionDigits = min(15 - integers, max(10, fractions))
    }
    return range.nodes(in: &automaton, then: next)
  }
}

extension DecimalRange {
  /// A range of integers of at most some digits.
  fileprivate init(lowest: DecimalBound?, highest: DecimalBound?, digits: Int) {
    let limit = ExactDecimal.nines(digits)
    let lowest = lowest.flatMap { $0.value < limit.negated ? nil : $0 } ?? DecimalBound(value: limit.negated)
    let highest = highest.flatMap { limit < $0.value ? nil : $0 } ?? DecimalBound(value: limit)
    self.init(lowest: lowest, highest: highest, fractionDigits: 0)
  }
}
