/// Parses the part of ECMA 262's regular expressions that is regular and needs no context: no look-around, no
/// references to groups, no word boundaries, no flags. Of Unicode, `\d` and `\w` contain ASCII only, as ECMA 262 says.
struct PatternParser {
  private let source: [Unicode.Scalar]
  private var position = 0

  private static let maximumLength = 4096
  private static let maximumNesting = 64
  private static let maximumCount = 100_000

  init(_ source: String) { self.source = Array(source.unicodeScalars) }

  mutating func parse() throws(PatternError) -> Pattern {
    guard source.count <= Self.maximumLength else {
      throw PatternError("with more than \(Self.maximumLength) characters")
    }
    let pattern = try alternatives(nesting: 0)
    guard position == source.count else { throw PatternError("with a ')' too many") }
    return pattern
  }

  private mutating func alternatives(nesting: Int) throws(PatternError) -> Pattern {
    guard nesting <= Self.maximumNesting else { throw PatternError("with more than \(Self.maximumNesting) levels") }
    var branches = [try sequence(nesting: nesting)]
    while skip("|") { branches.append(try sequence(nesting: nesting)) }
    return branches.count == 1 ? branches[0] : .alternatives(branches)
  }

  private mutating func sequence(nesting: Int) throws(PatternError) -> Pattern {
    var parts: [Pattern] = []
    while let scalar = peek(), scalar != "|", scalar != ")" {
      let part = try atom(nesting: nesting)
      parts.append(try quantified(part))
    }
    return .sequence(parts)
  }

  private mutating func atom(nesting: Int) throws(PatternError) -> Pattern {
    let scalar = try next()
    switch scalar {
    case "^": return .start
    case "$": return .end
    case ".": return .scalar(complement(of: [0xA...0xA, 0xD...0xD, 0x2028...0x2029]))
    case "[": return .scalar(try bracket())
    case "\\": return .scalar(try escape(inBracket: false))
    case "(":
      try groupKind()
      let body = try alternatives(nesting: nesting + 1)
      guard skip(")") else { throw PatternError("with a group without ')'") }
      return body
    case "*", "+", "?", "{": throw PatternError("with '\(scalar)' after nothing")
    default: return .scalar([scalar.value...scalar.value])
    }
  }

  private mutating func groupKind() throws(PatternError) {
    guard skip("?") else { return }
    if skip(":") { return }
    guard skip("<"), let scalar = peek(), scalar != "=", scalar != "!" else {
      throw PatternError("with look-around or flags")
    }
    while try next() != ">" {}
  }

  private mutating func quantified(_ part: Pattern) throws(PatternError) -> Pattern {
    let range: (Int, Int?)
    switch peek() {
    case "*": range = (0, nil)
    case "+": range = (1, nil)
    case "?": range = (0, 1)
    case "{":
      position += 1
      let minimum = try count()
      let maximum: Int? = skip(",") ? (peek() == "}" ? nil : try count()) : minimum
      guard peek() == "}", maximum.map({ $0 >= minimum }) ?? true else { throw PatternError("with a malformed '{'") }
      range = (minimum, maximum)
    default: return part
    }
    position += 1
    _ = skip("?")
    guard !part.hasAnchor else { throw PatternError("with a repeated '^' or '$'") }
    return .repeated(part, minimum: range.0, maximum: range.1)
  }

  private mutating func count() throws(PatternError) -> Int {
    var value: Int?
    while let scalar = peek(), ("0"..."9").contains(scalar) {
      value = (value ?? 0) * 10 + Int(scalar.value - 0x30)
      position += 1
      guard value ?? 0 <= Self.maximumCount else { throw PatternError("with a count above \(Self.maximumCount)") }
    }
    guard let value else { throw PatternError("with a malformed '{'") }
    return value
  }

  private mutating func bracket() throws(PatternError) -> [ClosedRange<UInt32>] {
    let isNegated = skip("^")
    var ranges: [ClosedRange<UInt32>] = []
    while !skip("]") {
      let first = try bracketAtom()
      guard first.count == 1, first[0].count == 1, peek() == "-", peek(1) != "]" else {
        ranges += first
        continue
      }
      position += 1
      let last = try bracketAtom()
      guard last.count == 1, last[0].count == 1, first[0].lowerBound <= last[0].lowerBound else {
        throw PatternError("with a malformed range in '['")
      }
      ranges.append(first[0].lowerBound...last[0].lowerBound)
    }
    return isNegated ? complement(of: ranges) : ranges.flatMap { subtract([0xD800...0xDFFF], from: $0) }
  }

  private mutating func bracketAtom() throws(PatternError) -> [ClosedRange<UInt32>] {
    let scalar = try next()
    return scalar == "\\" ? try escape(inBracket: true) : [scalar.value...scalar.value]
  }

  private func peek(_ distance: Int = 0) -> Unicode.Scalar? {
    position + distance < source.count ? source[position + distance] : nil
  }

  private mutating func next() throws(PatternError) -> Unicode.Scalar {
    guard let scalar = peek() else { throw PatternError("that ends too early") }
    position += 1
    return scalar
  }

  private mutating func skip(_ scalar: Unicode.Scalar) -> Bool {
    guard peek() == scalar else { return false }
    position += 1
    return true
  }
}

extension PatternParser {
  private static let digits: [ClosedRange<UInt32>] = [0x30...0x39]
  private static let word: [ClosedRange<UInt32>] = [0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A]
  private static let space: [ClosedRange<UInt32>] = [
    0x9...0xD, 0x20...0x20, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A, 0x2028...0x2029, 0x202F...0x202F,
    0x205F...0x205F, 0x3000...0x3000, 0xFEFF...0xFEFF,
  ]

  private mutating func escape(inBracket: Bool) throws(PatternError) -> [ClosedRange<UInt32>] {
    let scalar = try next()
    switch scalar {
    case "d": return Self.digits
    case "D": return complement(of: Self.digits)
    case "w": return Self.word
    case "W": return complement(of: Self.word)
    case "s": return Self.space
    case "S": return complement(of: Self.space)
    case "t": return [0x9...0x9]
    case "n": return [0xA...0xA]
    case "v": return [0xB...0xB]
    case "f": return [0xC...0xC]
    case "r": return [0xD...0xD]
    case "b" where inBracket: return [0x8...0x8]
    case "x": return try codePoint(digits: 2)
    case "u": return try codePoint(digits: 4)
    case "0"..."9", "a"..."z", "A"..."Z": throw PatternError("with '\\\(scalar)'")
    default: return [scalar.value...scalar.value]
    }
  }

  private mutating func codePoint(digits: Int) throws(PatternError) -> [ClosedRange<UInt32>] {
    var value: UInt32 = 0
    for _ in 0..<digits {
      guard let digit = Character(try next()).hexDigitValue else { throw PatternError("with a malformed escape") }
      value = value << 4 | UInt32(digit)
    }
    guard Unicode.Scalar(value) != nil else { throw PatternError("with half of a surrogate pair") }
    return [value...value]
  }
}
