/// SplitMix64: a generator with the same sequence on every machine.
struct Randomness: RandomNumberGenerator {
  private var state: UInt64

  /// The generator of one input, determined by the seed, the target and the input's index.
  init(seed: UInt64, target: String, index: Int) {
    state = seed &* 0x9E37_79B9_7F4A_7C15
    for byte in target.utf8 { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
    state ^= UInt64(bitPattern: Int64(index)) &* 0xBF58_476D_1CE4_E5B9
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// An integer from 0 to `count` - 1; `count` must be positive.
  mutating func below(_ count: Int) -> Int { Int.random(in: 0..<count, using: &self) }

  /// True with probability 1/`count`.
  mutating func once(in count: Int) -> Bool { below(count) == 0 }

  /// One of the elements.
  mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }
}
