/// Translates a pattern of the Oniguruma dialect (Ruby syntax), which `tokenizer.json` files use, for PCRE2.
///
/// The dialects agree on most constructs of such patterns. These differ and are rewritten:
/// - `\s` is the Unicode property White_Space (PCRE2 adds U+180E); `\w`, `\d` and `\h` (a hexadecimal digit) differ
///   too;
/// - properties include the scalars of `UnicodeAdditions`, and a script means the script alone, not its extensions;
/// - `{n,m}+` repeats the repetition (PCRE2: a possessive quantifier).
///
/// Class intersections, nested classes, POSIX brackets and word boundaries are refused.
struct PatternTranslation {
  private let source: [Unicode.Scalar]
  private var position = 0
  private var output = ""
  /// The starts in `output` of the last complete atom, and of the groups that are still open.
  private var atomStart: String.Index
  private var groupStarts: [String.Index] = []

  /// The PCRE2 form of `pattern`.
  ///
  /// - Throws: ``TokenizationError`` without a file name if the pattern uses a construct without an exact equivalent.
  static func translate(_ pattern: String) throws -> String {
    var translation = PatternTranslation(pattern)
    try translation.run()
    return translation.output
  }

  private init(_ pattern: String) {
    source = Array(pattern.unicodeScalars)
    atomStart = output.startIndex
  }

  private mutating func run() throws {
    while let scalar = next() {
      switch scalar {
      case "\\":
        begin()
        try escape(inClass: false)
      case "[":
        begin()
        try characterClass()
      case "(":
        groupStarts.append(output.endIndex)
        begin()
        copy(scalar)
      case ")":
        if let start = groupStarts.popLast() { atomStart = start }
        copy(scalar)
      case "{": interval()
      case "*", "+", "?": copy(scalar)
      default:
        begin()
        copy(scalar)
      }
    }
  }

  /// `{n,m}`, followed in this dialect by a `+` that repeats it.
  private mutating func interval() {
    copy("{")
    var body = ""
    while let scalar = peek(), scalar == "," || ("0"..."9").contains(scalar) {
      body.unicodeScalars.append(scalar)
      position += 1
    }
    output += body
    guard !body.isEmpty, peek() == "}" else { return }
    position += 1
    copy("}")
    guard peek() == "+" else { return }
    position += 1
    output.replaceSubrange(atomStart..., with: "(?:\(output[atomStart...]))+")
  }

  private mutating func escape(inClass: Bool) throws {
    guard let scalar = next() else { throw TokenizationError.malformed("ends with a backslash") }
    func wrap(_ body: String) -> String { inClass ? body : "[\(body)]" }
    switch scalar {
    case "s": output += wrap(PropertyClass.whiteSpace)
    case "S": output += inClass ? PropertyClass.notWhiteSpace : "[^\(PropertyClass.whiteSpace)]"
    case "d": output += wrap(PropertyClass.body(of: "Nd"))
    case "h": output += wrap("0-9A-Fa-f")
    case "w": output += wrap(PropertyClass.word)
    case "D" where !inClass: output += "[^\(PropertyClass.body(of: "Nd"))]"
    case "H" where !inClass: output += "[^0-9A-Fa-f]"
    case "W" where !inClass: output += "[^\(PropertyClass.word)]"
    case "D", "H", "W": throw refusal("\\\(scalar) inside a character class")
    case "b" where !inClass, "B" where !inClass, "y", "Y", "X", "R", "K", "G", "g", "k":
      throw refusal("\\\(scalar)")
    case "p", "P": try property(isNegated: scalar == "P", inClass: inClass)
    case "u": output += "\\x{\(try hexadecimalDigits(4))}"
    default: output.unicodeScalars.append(contentsOf: ["\\", scalar])
    }
  }

  private mutating func property(isNegated: Bool, inClass: Bool) throws {
    guard next() == "{", let end = source[position...].firstIndex(of: "}") else {
      throw TokenizationError.malformed("has \\p without {…}")
    }
    var name = String(String.UnicodeScalarView(source[position..<end]))
    position = end + 1
    let isNegated = isNegated != name.hasPrefix("^")
    if name.hasPrefix("^") { name.removeFirst() }
    let body = PropertyClass.body(of: name)
    switch (inClass, isNegated) {
    case (true, false): output += body
    case (true, true): output += "\\P{\(name)}"
    case (false, false): output += "[\(body)]"
    case (false, true): output += "[^\(body)]"
    }
  }

  private mutating func characterClass() throws {
    copy("[")
    if peek() == "^" { copy("^"); position += 1 }
    if peek() == "]" { throw refusal("an empty character class") }
    while let scalar = next() {
      switch scalar {
      case "]":
        copy(scalar)
        return
      case "[": throw refusal("a character class inside another")
      case "&" where peek() == "&": throw refusal("the class intersection &&")
      case "\\": try escape(inClass: true)
      default: copy(scalar)
      }
    }
    throw TokenizationError.malformed("has an unclosed character class")
  }

  private mutating func hexadecimalDigits(_ count: Int) throws -> String {
    let digits = source[position...].prefix(count)
    guard digits.count == count, digits.allSatisfy({ $0.properties.isASCIIHexDigit }) else {
      throw TokenizationError.malformed("has \\u without \(count) hexadecimal digits")
    }
    position += count
    return String(String.UnicodeScalarView(digits))
  }

  private func refusal(_ construct: String) -> TokenizationError {
    TokenizationError.malformed("uses \(construct), which is not supported")
  }

  private mutating func begin() { atomStart = output.endIndex }
  private func peek() -> Unicode.Scalar? { position < source.count ? source[position] : nil }

  private mutating func next() -> Unicode.Scalar? {
    guard let scalar = peek() else { return nil }
    position += 1
    return scalar
  }

  private mutating func copy(_ scalar: Unicode.Scalar) { output.unicodeScalars.append(scalar) }
}

/// The contents of PCRE2 character classes that are equivalent to Oniguruma's classes.
private enum PropertyClass {
  static let whiteSpace =
    "\\t-\\r\\x20\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
  static let notWhiteSpace =
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}!-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}"
    + "\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{10ffff}"

  /// Letters, marks, decimal and letter numbers, connectors, and the few symbols and fractions Oniguruma counts as
  /// word characters.
  static let word =
    ["L", "M", "Nd", "Nl", "Pc"].map(body(of:)).joined()
    + "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}"
    + "\\x{1f170}-\\x{1f189}"

  static func body(of property: String) -> String {
    // Names of up to two letters are general categories, longer ones scripts.
    let name = property.utf8.count <= 2 ? property : "sc:\(property)"
    return "\\p{\(name)}\(UnicodeAdditions.classBody(for: property))"
  }
}
