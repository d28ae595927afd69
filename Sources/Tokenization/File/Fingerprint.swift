import Foundation

/// An incremental SHA-256 (FIPS 180-4) of length-prefixed fields.
///
/// The tokenizer's fingerprint must be the same on all platforms and in all releases. It is the package's only use of
/// cryptography, which does not justify a dependency; Foundation has no hash on Linux.
struct Fingerprint {
  private var state: [UInt32] = [
    0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A, 0x510E_527F, 0x9B05_688C, 0x1F83_D9AB, 0x5BE0_CD19,
  ]
  private var block: [UInt8] = []
  private var length: UInt64 = 0
  private var schedule = [UInt32](repeating: 0, count: 64)

  init() { block.reserveCapacity(64) }

  /// Adds bytes, preceded by their count, so that fields are delimited.
  mutating func add(_ bytes: some Collection<UInt8>) {
    add(Int64(bytes.count))
    bytes.forEach { append($0) }
  }

  /// Adds an integer.
  mutating func add(_ value: Int64) {
    for shift in stride(from: 56, through: 0, by: -8) { append(UInt8(truncatingIfNeeded: value >> Int64(shift))) }
  }

  /// The hash in 64 hexadecimal digits.
  consuming func hexadecimal() -> String {
    let bits = length * 8
    append(0x80)
    while block.count != 56 { append(0) }
    for shift in stride(from: 56, through: 0, by: -8) { append(UInt8(truncatingIfNeeded: bits >> UInt64(shift))) }
    return state.map { word in
      let digits = String(word, radix: 16)
      return String(repeating: "0", count: 8 - digits.utf8.count) + digits
    }.joined()
  }

  private mutating func append(_ byte: UInt8) {
    block.append(byte)
    length += 1
    if block.count == 64 {
      compress()
      block.removeAll(keepingCapacity: true)
    }
  }

  private mutating func compress() {
    for index in 0..<16 {
      schedule[index] = block[4 * index..<4 * index + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
    for index in 16..<64 {
      let (early, late) = (schedule[index - 15], schedule[index - 2])
      let first = Self.rotate(early, 7) ^ Self.rotate(early, 18) ^ early >> 3
      let second = Self.rotate(late, 17) ^ Self.rotate(late, 19) ^ late >> 10
      schedule[index] = schedule[index - 16] &+ first &+ schedule[index - 7] &+ second
    }
    var (a, b, c, d, e, f, g, h) = (state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7])
    for index in 0..<64 {
      let sumE = Self.rotate(e, 6) ^ Self.rotate(e, 11) ^ Self.rotate(e, 25)
      let first = h &+ sumE &+ (e & f ^ ~e & g) &+ Self.roundConstants[index] &+ schedule[index]
      let sumA = Self.rotate(a, 2) ^ Self.rotate(a, 13) ^ Self.rotate(a, 22)
      let second = sumA &+ (a & b ^ a & c ^ b & c)
      (h, g, f, e, d, c, b, a) = (g, f, e, d &+ first, c, b, a, first &+ second)
    }
    for (index, value) in [a, b, c, d, e, f, g, h].enumerated() { state[index] &+= value }
  }

  private static func rotate(_ value: UInt32, _ count: UInt32) -> UInt32 { value >> count | value << (32 - count) }

  /// The first 32 bits of the fractional parts of the cube roots of the first 64 primes, 2 to 311.
  private static let roundConstants: [UInt32] = (2...311).filter { number in
    !(2..<number).contains { number.isMultiple(of: $0) }
  }.map { UInt32(truncatingIfNeeded: Int(exactly: (cbrt(Double($0)) * 0x1p32).rounded(.down)) ?? 0) }
}
