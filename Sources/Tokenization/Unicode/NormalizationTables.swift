/// Lookup tables of decompositions, compositions and combining classes.
struct NormalizationTables: Sendable {
  static let shared = NormalizationTables()

  /// No scalar value from this one on has a combining class, a decomposition or a composition.
  private static let limit: UInt32 = 0x30000

  /// One bit for each scalar below `limit`: set if composition may change or absorb it.
  private var changing = [UInt64](repeating: 0, count: Int(limit) / 64)
  private var combiningClasses: [UInt32: UInt8] = [:]
  private var decompositions: [UInt32: (first: UInt32, second: UInt32)] = [:]
  private var compositions: [UInt64: UInt32] = [:]

  private init() {
    // Combining classes never change, so the standard library's are those of Unicode 9.0 for the scalars of that version.
    for value in 0x300..<Self.limit {
      guard let properties = Unicode.Scalar(value)?.properties, let age = properties.age, age.major <= 9,
        case let combiningClass = properties.canonicalCombiningClass, combiningClass != .notReordered
      else { continue }
      combiningClasses[value] = combiningClass.rawValue
      mark(value)
    }
    var scalar: UInt32 = 0
    for entry in Self.entries(NormalizationData.decompositions) {
      scalar += entry[0]
      let isPair = entry.count > 2
      decompositions[scalar] = (entry[1], isPair ? entry[2] : 0)
      if entry.count == 3 {
        compositions[UInt64(entry[1]) << 32 | UInt64(entry[2])] = scalar
        mark(entry[2])
      } else {
        mark(scalar)
      }
    }
    for vowel in Hangul.vowels { mark(vowel) }
    for trailing in Hangul.trailing { mark(trailing) }
  }

  /// Whether composing text can change this scalar or join it to one before it.
  @inline(__always)
  func mayChange(_ value: UInt32) -> Bool {
    value < Self.limit && changing[Int(value >> 6)] >> UInt64(value & 63) & 1 == 1
  }

  /// Appends the full canonical decomposition of a scalar.
  func decompose(_ value: UInt32, into scalars: inout [CanonicalComposition.Scalar]) {
    if Hangul.syllables.contains(value) {
      for jamo in Hangul.decompose(value) { scalars.append(.init(value: jamo, combiningClass: 0)) }
    } else if let (first, second) = decompositions[value] {
      decompose(first, into: &scalars)
      if second != 0 { decompose(second, into: &scalars) }
    } else {
      scalars.append(.init(value: value, combiningClass: combiningClasses[value] ?? 0))
    }
  }

  /// The scalar two scalars compose to, or nil.
  func composite(_ first: UInt32, _ second: UInt32) -> UInt32? {
    Hangul.compose(first, second) ?? compositions[UInt64(first) << 32 | UInt64(second)]
  }

  private mutating func mark(_ value: UInt32) {
    changing[Int(value >> 6)] |= 1 << UInt64(value & 63)
  }

  private static func entries(_ text: String) -> [[UInt32]] {
    text.utf8.split(separator: UInt8(ascii: " ")).map { entry in
      entry.split(separator: UInt8(ascii: ",")).map { digits in
        digits.reduce(0) { $0 * 36 + UInt32($1 < 0x3A ? $1 - 0x30 : $1 - 0x61 + 10) }
      }
    }
  }
}

/// Hangul syllables, which are composed and decomposed by arithmetic (Unicode Standard, section 3.12).
private enum Hangul {
  static let syllables: Range<UInt32> = 0xAC00..<0xD7A4
  static let leading: Range<UInt32> = 0x1100..<0x1113
  static let vowels: Range<UInt32> = 0x1161..<0x1176
  static let trailing: Range<UInt32> = 0x11A8..<0x11C3

  static func decompose(_ value: UInt32) -> [UInt32] {
    let index = value - 0xAC00
    let pair = [0x1100 + index / 588, 0x1161 + index % 588 / 28]
    return index % 28 == 0 ? pair : pair + [0x11A7 + index % 28]
  }

  static func compose(_ first: UInt32, _ second: UInt32) -> UInt32? {
    if leading.contains(first), vowels.contains(second) {
      return 0xAC00 + ((first - 0x1100) * 21 + (second - 0x1161)) * 28
    }
    if syllables.contains(first), (first - 0xAC00) % 28 == 0, trailing.contains(second) {
      return first + (second - 0x11A7)
    }
    return nil
  }
}
