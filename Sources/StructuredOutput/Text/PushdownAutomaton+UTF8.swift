extension PushdownAutomaton {
  /// All Unicode scalars: every code point but surrogates.
  static let allScalars: [ClosedRange<UInt32>] = [0...0xD7FF, 0xE000...0x10FFFF]

  /// Nodes of one Unicode scalar out of some ranges, as UTF-8.
  ///
  /// - Parameter ranges: without surrogates.
  mutating func scalar(in ranges: [ClosedRange<UInt32>], then next: NodeID) -> NodeID {
    var single: ByteSet?
    var nodes: [NodeID] = []
    for range in ranges {
      appendSequences(range) { sequence in
        if let byte = sequence.first, sequence.count == 1 {
          var set = single ?? ByteSet()
          set.insert(byte)
          single = set
        } else {
          nodes.append(sequence.reversed().reduce(next) { bytes(ByteSet($1), then: $0) })
        }
      }
    }
    if let single { nodes.insert(bytes(single, then: next), at: 0) }
    return choice(nodes)
  }

  /// Splits a range of scalars into ranges whose encodings are a range of first bytes, then one of second bytes, and so
  /// on.
  private func appendSequences(_ range: ClosedRange<UInt32>, _ body: ([ClosedRange<UInt8>]) -> Void) {
    var pending = [range]
    while let range = pending.popLast() {
      guard let split = splitPoint(range) else {
        let pairs = zip(Self.utf8(range.lowerBound), Self.utf8(range.upperBound))
        body(pairs.map { $0...$1 })
        continue
      }
      pending.append(split + 1...range.upperBound)
      pending.append(range.lowerBound...split)
    }
  }

  /// The end of the first part, or nil for a range that needs no split.
  private func splitPoint(_ range: ClosedRange<UInt32>) -> UInt32? {
    let (low, high) = (range.lowerBound, range.upperBound)
    for last: UInt32 in [0x7F, 0x7FF, 0xFFFF] where low <= last && high > last { return last }
    guard high > 0x7F else { return nil }
    for bits in [6, 12, 18] as [UInt32] {
      let mask: UInt32 = 1 << bits - 1
      guard low & ~mask != high & ~mask else { continue }
      if low & mask != 0 { return low | mask }
      if high & mask != mask { return high & ~mask - 1 }
    }
    return nil
  }

  /// The encoding of a code point.
  static func utf8(_ value: UInt32) -> [UInt8] {
    switch value {
    case ..<0x80: [UInt8(value)]
    case ..<0x800: [UInt8(0xC0 | value >> 6), UInt8(0x80 | value & 0x3F)]
    case ..<0x10000: [UInt8(0xE0 | value >> 12), UInt8(0x80 | value >> 6 & 0x3F), UInt8(0x80 | value & 0x3F)]
    default:
      [
        UInt8(0xF0 | value >> 18), UInt8(0x80 | value >> 12 & 0x3F), UInt8(0x80 | value >> 6 & 0x3F),
        UInt8(0x80 | value & 0x3F),
      ]
    }
  }
}

/// The scalars that are in none of some ranges.
func complement(of ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
  PushdownAutomaton.allScalars.flatMap { subtract(ranges, from: $0) }
}

/// The parts of a range that are in none of others.
func subtract(_ ranges: [ClosedRange<UInt32>], from whole: ClosedRange<UInt32>) -> [ClosedRange<UInt32>] {
  var parts: [ClosedRange<UInt32>] = []
  var next = whole.lowerBound
  for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) where range.upperBound >= next {
    guard range.lowerBound <= whole.upperBound else { break }
    if range.lowerBound > next { parts.append(next...range.lowerBound - 1) }
    next = range.upperBound + 1
  }
  if next <= whole.upperBound { parts.append(next...whole.upperBound) }
  return parts
}
