/// UTF-8 text that knows which of its bytes come from the input, as opposed to the template.
///
/// A chat template's own text may hold special tokens ("<|im_start|>"); the text of a message must never become one.
/// Every operation of the interpreter keeps the marks.
public struct MarkedText: Sendable {
  /// The text in UTF-8.
  public private(set) var bytes: [UInt8] = []
  /// The byte ranges that come from the input: ascending, neither empty nor adjacent.
  public private(set) var inputRanges: [Range<Int>] = []

  /// An empty text.
  public init() {}

  /// - Parameter isInput: whether the text comes from the input.
  public init(_ text: some StringProtocol, isInput: Bool = false) {
    self.init(bytes: Array(text.utf8), isInput: isInput)
  }

  init(bytes: [UInt8], isInput: Bool) {
    self.bytes = bytes
    if isInput, !bytes.isEmpty { inputRanges = [0..<bytes.count] }
  }

  /// The text as a string.
  public var string: String { String(decoding: bytes, as: UTF8.self) }

  var isEmpty: Bool { bytes.isEmpty }
  var count: Int { bytes.count }

  mutating func append(_ other: MarkedText) {
    let offset = bytes.count
    bytes += other.bytes
    for range in other.inputRanges { mark(range.lowerBound + offset..<range.upperBound + offset) }
  }

  mutating func append(_ template: String) { bytes += template.utf8 }

  private mutating func mark(_ range: Range<Int>) {
    if let last = inputRanges.last, last.upperBound == range.lowerBound {
      inputRanges[inputRanges.count - 1] = last.lowerBound..<range.upperBound
    } else {
      inputRanges.append(range)
    }
  }

  /// The bytes of a range, with their marks.
  subscript(range: Range<Int>) -> MarkedText {
    var part = MarkedText()
    part.bytes = Array(bytes[range])
    for marked in inputRanges {
      let common = marked.clamped(to: range)
      if !common.isEmpty { part.mark(common.lowerBound - range.lowerBound..<common.upperBound - range.lowerBound) }
    }
    return part
  }

  static func + (first: MarkedText, second: MarkedText) -> MarkedText {
    var sum = first
    sum.append(second)
    return sum
  }

  /// Replaces each character by a text, which takes the character's mark.
  func mapScalars(_ transform: (Unicode.Scalar) -> String) -> MarkedText {
    var result = MarkedText()
    for (range, isInput) in runs {
      for scalar in String(decoding: bytes[range], as: UTF8.self).unicodeScalars {
        result.append(MarkedText(transform(scalar), isInput: isInput))
      }
    }
    return result
  }

  /// The ranges of equal mark, in order.
  private var runs: [(range: Range<Int>, isInput: Bool)] {
    var runs: [(range: Range<Int>, isInput: Bool)] = []
    var position = 0
    for range in inputRanges {
      if position < range.lowerBound { runs.append((position..<range.lowerBound, false)) }
      runs.append((range, true))
      position = range.upperBound
    }
    if position < bytes.count { runs.append((position..<bytes.count, false)) }
    return runs
  }
}

/// Texts are equal and ordered by their bytes; UTF-8 orders as code points do.
extension MarkedText: Hashable, Comparable {
  /// Whether both have the same bytes, whatever their marks.
  public static func == (first: MarkedText, second: MarkedText) -> Bool { first.bytes == second.bytes }
  /// Whether the first comes before the second by code points.
  public static func < (first: MarkedText, second: MarkedText) -> Bool {
    first.bytes.lexicographicallyPrecedes(second.bytes)
  }
  /// Hashes what `==` compares.
  public func hash(into hasher: inout Hasher) { hasher.combine(bytes) }
}

extension MarkedText {
  /// The byte offset of each character, and the text's length.
  var scalarOffsets: [Int] { bytes.indices.filter { bytes[$0] & 0xC0 != 0x80 } + [bytes.count] }

  /// The number of characters (Unicode scalars), as Python counts them.
  var scalarCount: Int { bytes.count { $0 & 0xC0 != 0x80 } }

  /// The byte ranges of all occurrences of a text that is not empty, which do not overlap, at most `limit`.
  func ranges(of part: MarkedText, limit: Int = .max) -> [Range<Int>] {
    let part = part.bytes
    var found: [Range<Int>] = []
    var position = 0
    while found.count < limit, let start = firstIndex(of: part, from: position) {
      found.append(start..<start + part.count)
      position = start + part.count
    }
    return found
  }

  private func firstIndex(of part: [UInt8], from start: Int) -> Int? {
    guard let first = part.first else { return nil }
    var position = start
    while let next = bytes[position...].firstIndex(of: first), next + part.count <= bytes.count {
      if bytes[next..<next + part.count].elementsEqual(part) { return next }
      position = next + 1
    }
    return nil
  }

  /// The text without those leading and trailing characters for which `isRemoved` is true.
  func trimmed(start: Bool = true, end: Bool = true, where isRemoved: (Unicode.Scalar) -> Bool) -> MarkedText {
    let scalars = Array(string.unicodeScalars)
    var range = 0..<scalars.count
    while start, let first = range.first, isRemoved(scalars[first]) { range.removeFirst() }
    while end, let last = range.last, isRemoved(scalars[last]) { range.removeLast() }
    let before = scalars[..<range.lowerBound].reduce(0) { $0 + UTF8.width($1) }
    let after = scalars[range.upperBound...].reduce(0) { $0 + UTF8.width($1) }
    return self[before..<bytes.count - after]
  }
}

extension Unicode.Scalar {
  /// White space as Python's `str.isspace` has it.
  var isPythonSpace: Bool {
    switch value {
    case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
    default: false
    }
  }
}

extension UTF8 {
  static func width(_ scalar: Unicode.Scalar) -> Int { String(scalar).utf8.count }
}
