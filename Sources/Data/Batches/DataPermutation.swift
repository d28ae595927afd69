/// A keyed permutation of 0..<count, computed for one index at a time.
///
/// A Feistel network permutes the integers of an even number of bits; a result of `count` or more is permuted again
/// until it is less (cycle walking). The order of an epoch is never stored, and every element costs the same: at most
/// four evaluations of the network on average.
package struct DataPermutation {
  private let count: UInt64
  private let halfBits: UInt64
  private let keys: [UInt64]

  private static let rounds = 6

  /// - Parameter count: at least 1.
  package init(count: Int, key: UInt64) {
    self.count = UInt64(count)
    let bits = UInt64.bitWidth - (self.count - 1).leadingZeroBitCount
    halfBits = UInt64(max(1, (bits + 1) / 2))
    keys = (0..<Self.rounds).map { Self.hash(UInt64($0), key: key) }
  }

  /// The image of `index`, which must be in 0..<count.
  package func callAsFunction(_ index: Int) -> Int {
    var value = UInt64(index)
    repeat { value = network(value) } while value >= count
    return Int(value)
  }

  private func network(_ value: UInt64) -> UInt64 {
    let mask = (1 << halfBits) - 1 as UInt64
    var (left, right) = (value >> halfBits, value & mask)
    for key in keys {
      (left, right) = (right, left ^ (Self.hash(right, key: key) & mask))
    }
    return left << halfBits | right
  }

  /// A hash of two words: the finalizer of SplitMix64, applied twice.
  package static func hash(_ value: UInt64, key: UInt64) -> UInt64 {
    mix(mix(value &+ 0x9E37_79B9_7F4A_7C15) ^ mix(~key))
  }

  private static func mix(_ word: UInt64) -> UInt64 {
    let first = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
    let second = (first ^ first >> 27) &* 0x94D0_49BB_1331_11EB
    return second ^ second >> 31
  }
}
