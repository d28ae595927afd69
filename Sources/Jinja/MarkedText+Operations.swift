/// Python's operations on `str`, with marks.
extension MarkedText {
  /// Words begin with an uppercase letter, and other letters are lowercase.
  var titled: MarkedText {
    var isInWord = false
    return mapScalars { scalar in
      defer { isInWord = scalar.properties.isCased }
      return isInWord ? scalar.properties.lowercaseMapping : scalar.properties.titlecaseMapping
    }
  }

  /// The first character is uppercase, the rest lowercase.
  var capitalized: MarkedText {
    var isFirst = true
    return mapScalars { scalar in
      defer { isFirst = false }
      return isFirst ? scalar.properties.titlecaseMapping : scalar.properties.lowercaseMapping
    }
  }

  /// The parts between separators, of which at most `limit` count.
  ///
  /// - Parameter separator: nil for runs of white space, which are ignored at both ends.
  func split(separator: MarkedText?, limit: Int, fromEnd: Bool) throws -> [MarkedText] {
    guard let separator else { return splitAtSpace(limit: limit, fromEnd: fromEnd) }
    guard !separator.isEmpty else { throw Failure("empty separator") }
    var separators = ranges(of: separator, limit: fromEnd ? .max : limit)
    if fromEnd { separators = Array(separators.suffix(limit)) }
    let starts = [0] + separators.map(\.upperBound)
    let ends = separators.map(\.lowerBound) + [count]
    return zip(starts, ends).map { self[$0..<$1] }
  }

  private func splitAtSpace(limit: Int, fromEnd: Bool) -> [MarkedText] {
    var words: [Range<Int>] = []
    var start: Int?
    var position = 0
    for scalar in string.unicodeScalars {
      if scalar.isPythonSpace {
        if let begin = start { words.append(begin..<position) }
        start = nil
      } else if start == nil {
        start = position
      }
      position += UTF8.width(scalar)
    }
    if let begin = start { words.append(begin..<position) }
    guard words.count > limit else { return words.map { self[$0] } }
    // What is beyond the limit remains one part, with its white space up to that end of the text.
    if fromEnd {
      return [self[0..<words[words.count - limit - 1].upperBound]] + words.suffix(limit).map { self[$0] }
    }
    return words.prefix(limit).map { self[$0] } + [self[words[limit].lowerBound..<count]]
  }

  /// The lines without their ends.
  var lines: [MarkedText] {
    var lines: [MarkedText] = []
    var start = 0
    var position = 0
    var previous: Unicode.Scalar?
    for scalar in string.unicodeScalars {
      let width = UTF8.width(scalar)
      switch scalar.value {
      case 0x0A where previous == "\r": start = position + width
      case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029:
        lines.append(self[start..<position])
        start = position + width
      default: break
      }
      previous = scalar
      position += width
    }
    if start < count { lines.append(self[start..<count]) }
    return lines
  }

  /// - Parameter limit: the largest number of replacements; negative for all.
  func replacing(_ part: MarkedText, with other: MarkedText, limit: Int, _ budget: Budget) throws -> MarkedText {
    let limit = limit < 0 ? Int.max : limit
    let places =
      part.isEmpty
      ? scalarOffsets.prefix(limit).map { $0..<$0 }
      : ranges(of: part, limit: limit)
    let (growth, overflow) = places.count.multipliedReportingOverflow(by: other.count)
    try budget.spend(bytes: overflow ? .max : count + growth)
    var result = MarkedText()
    var position = 0
    for place in places {
      result.append(self[position..<place.lowerBound])
      result.append(other)
      position = place.upperBound
    }
    result.append(self[position..<count])
    return result
  }
}

extension [JinjaValue] {
  /// The texts of the values with a separator between them.
  func joined(separator: MarkedText) -> MarkedText {
    var text = MarkedText()
    for (index, element) in enumerated() {
      if index > 0 { text.append(separator) }
      text.append(element.text)
    }
    return text
  }
}
