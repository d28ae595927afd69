/// Mutations of bytes, independent of their format.
enum ByteMutation {
  /// Sizes and offsets at the limits of integer arithmetic.
  static let integers: [UInt64] = [
    0, 1, 2, 7, 8, 255, 256, 65_535, 65_536, 1 << 31, 1 << 32, 1 << 40, 1 << 62, 1 << 63, .max, .max - 1, .max - 7,
    UInt64(Int64.max),
  ]

  static func apply(_ bytes: inout [UInt8], _ random: inout Randomness) {
    guard !bytes.isEmpty else {
      bytes = (0..<random.below(16)).map { _ in UInt8.random(in: 0...255, using: &random) }
      return
    }
    let start = random.below(bytes.count)
    let length = 1 + random.below(min(bytes.count - start, random.once(in: 4) ? bytes.count : 16))
    switch random.below(9) {
    case 0: bytes[start] ^= 1 << UInt8(random.below(8))
    case 1: bytes[start] = UInt8.random(in: 0...255, using: &random)
    case 2: bytes.removeSubrange(start..<(start + length))
    case 3: bytes.insert(contentsOf: Array(bytes[start..<(start + length)]), at: start)
    case 4: bytes.removeSubrange(start...)
    case 5: for index in start..<(start + length) { bytes[index] = random.once(in: 2) ? 0 : 0xFF }
    case 6:
      let integer = random.pick(integers)
      for (index, shift) in zip(start..<bytes.count, stride(from: UInt64(0), to: 64, by: 8)) {
        bytes[index] = UInt8(truncatingIfNeeded: integer >> shift)
      }
    case 7: bytes.insert(contentsOf: random.pick(fragments), at: start)
    default:
      let other = random.below(bytes.count)
      bytes.swapAt(start, other)
    }
  }

  private static let fragments: [[UInt8]] = [
    [0], [0xFF], [0xEF, 0xBB, 0xBF], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0x1B, 0x5B, 0x33, 0x31, 0x6D],
    Array("\r\n".utf8), Array("\n\n".utf8), Array("{}".utf8), Array("\"".utf8), Array("e\u{301}".utf8),
    Array("\\ud800".utf8), Array(repeating: 0x5B, count: 300), Array(repeating: 0x61, count: 3000), [0x1F, 0x8B, 0x08],
  ]
}
