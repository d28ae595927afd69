/// UTF-8 validation and repair of bytes.
///
/// Each maximal subpart of an ill-formed sequence becomes one U+FFFD, as the Unicode Standard recommends and the standard
/// library and Python's `errors="replace"` do.
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

  /// Calls `body` with `bytes`, in which every ill-formed maximal subpart is replaced by U+FFFD.
  static func withRepaired<Result>(_ bytes: Bytes, _ body: (Bytes) throws -> Result) rethrows -> Result {
    if validPrefix(of: bytes) == bytes.count { return try body(bytes) }
    var repaired = String(decoding: bytes, as: UTF8.self)
    return try repaired.withUTF8(body)
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
    if let scalar = Unicode.Scalar(value) { bytes.append(contentsOf: scalar.utf8) }
  }

  @inline(__always)
  private static func load(_ bytes: Bytes, _ index: Int) -> UInt64 {
    UnsafeRawBufferPointer(bytes).loadUnaligned(fromByteOffset: index, as: UInt64.self)
  }
}
