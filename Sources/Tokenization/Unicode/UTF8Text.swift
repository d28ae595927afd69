/// UTF-8 validation and repair on plain bytes.
///
/// Each maximal subpart of an ill-formed sequence becomes one U+FFFD, as the Unicode Standard recommends and Python's
/// `errors="replace"` does.
enum UTF8Text {
  /// The sequence at one position of a byte buffer.
  enum Unit: Equatable {
    /// A well-formed sequence of this many bytes.
    case valid(Int)
    /// An ill-formed maximal subpart of this many bytes.
    case invalid(Int)
    /// This many bytes up to the end of the buffer, which could be the start of a well-formed sequence.
    case truncated(Int)
  }

  static let replacement: [UInt8] = [0xEF, 0xBF, 0xBD]

  /// Classifies the sequence that starts at `index`, which must be a valid index.
  static func unit(in bytes: Bytes, at index: Int) -> Unit {
    let lead = bytes[index]
    let length: Int
    var allowed: ClosedRange<UInt8> = 0x80...0xBF
    switch lead {
    case 0x00...0x7F: return .valid(1)
    case 0xC2...0xDF: length = 2
    case 0xE0: (length, allowed) = (3, 0xA0...0xBF)
    case 0xED: (length, allowed) = (3, 0x80...0x9F)
    case 0xE1...0xEF: length = 3
    case 0xF0: (length, allowed) = (4, 0x90...0xBF)
    case 0xF1...0xF3: length = 4
    case 0xF4: (length, allowed) = (4, 0x80...0x8F)
    default: return .invalid(1)
    }
    for offset in 1..<length {
      guard index + offset < bytes.count else { return .truncated(offset) }
      guard allowed.contains(bytes[index + offset]) else { return .invalid(offset) }
      allowed = 0x80...0xBF
    }
    return .valid(length)
  }

  /// The first index at or after `start` that does not begin a well-formed sequence, or `bytes.count`.
  static func validPrefix(of bytes: Bytes, from start: Int = 0) -> Int {
    var index = start
    while index < bytes.count {
      if bytes[index] < 0x80 {
        index += 1
        while index + 8 <= bytes.count, load(bytes, index) & 0x8080_8080_8080_8080 == 0 { index += 8 }
        continue
      }
      guard case .valid(let length) = unit(in: bytes, at: index) else { return index }
      index += length
    }
    return index
  }

  /// `bytes` with every ill-formed maximal subpart replaced by U+FFFD, or nil if `bytes` are well-formed.
  static func repaired(_ bytes: Bytes) -> [UInt8]? {
    var index = validPrefix(of: bytes)
    guard index < bytes.count else { return nil }
    var result = [UInt8](bytes[..<index])
    while index < bytes.count {
      switch unit(in: bytes, at: index) {
      case .valid:
        let end = validPrefix(of: bytes, from: index)
        result.append(contentsOf: bytes[index..<end])
        index = end
      case .invalid(let length), .truncated(let length):
        result.append(contentsOf: replacement)
        index += length
      }
    }
    return result
  }

  /// The number of bytes at the end of `bytes` (0 to 3) that more bytes could complete to a well-formed sequence.
  static func incompleteSuffix(of bytes: Bytes) -> Int {
    for length in 1...3 where length <= bytes.count {
      let index = bytes.count - length
      if case .truncated(length) = unit(in: bytes, at: index) { return length }
    }
    return 0
  }

  /// The scalar of the well-formed sequence at `index`, and its length.
  @inline(__always)
  static func scalar(in bytes: Bytes, at index: Int) -> (value: UInt32, length: Int) {
    let lead = UInt32(bytes[index])
    func continuation(_ offset: Int) -> UInt32 { UInt32(bytes[index + offset] & 0x3F) }
    if lead < 0x80 { return (lead, 1) }
    if lead < 0xE0 { return ((lead & 0x1F) << 6 | continuation(1), 2) }
    if lead < 0xF0 { return ((lead & 0x0F) << 12 | continuation(1) << 6 | continuation(2), 3) }
    return ((lead & 0x07) << 18 | continuation(1) << 12 | continuation(2) << 6 | continuation(3), 4)
  }

  /// The scalar whose sequence ends just before `end`, which must be greater than zero, and its length.
  static func scalar(in bytes: Bytes, endingAt end: Int) -> (value: UInt32, length: Int) {
    var start = end - 1
    while start > 0, bytes[start] & 0xC0 == 0x80 { start -= 1 }
    return scalar(in: bytes, at: start)
  }

  /// Appends the UTF-8 form of a scalar value.
  static func append(_ value: UInt32, to bytes: inout [UInt8]) {
    func tail(_ shift: UInt32) -> UInt8 { 0x80 | UInt8(truncatingIfNeeded: (value >> shift) & 0x3F) }
    switch value {
    case ..<0x80:
      bytes.append(UInt8(truncatingIfNeeded: value))
    case ..<0x800:
      bytes.append(0xC0 | UInt8(truncatingIfNeeded: value >> 6))
      bytes.append(tail(0))
    case ..<0x10000:
      bytes.append(0xE0 | UInt8(truncatingIfNeeded: value >> 12))
      bytes.append(tail(6))
      bytes.append(tail(0))
    default:
      bytes.append(0xF0 | UInt8(truncatingIfNeeded: value >> 18))
      bytes.append(tail(12))
      bytes.append(tail(6))
      bytes.append(tail(0))
    }
  }

  @inline(__always)
  private static func load(_ bytes: Bytes, _ index: Int) -> UInt64 {
    UnsafeRawBufferPointer(bytes).loadUnaligned(fromByteOffset: index, as: UInt64.self)
  }
}
