import WidebandCheckedInput

/// A map from pairs of token ids to `Value`, with open addressing: the merge table and the trainer's pair counts.
///
/// Entries are never removed. A lookup usually touches one cache line.
struct PairTable<Value> {
  fileprivate struct Entry {
    var key: UInt64
    var value: Value
  }

  /// No pair of non-negative 32-bit ids has this key.
  private static var vacant: UInt64 { .max }

  private let filler: Value
  private var entries: [Entry]
  private var count = 0

  /// - Parameter filler: the value in vacant entries; never returned.
  init(minimumCapacity: Int = 16, filler: Value) {
    var capacity = 32
    while capacity < minimumCapacity * 2 { capacity *= 2 }
    self.filler = filler
    entries = [Entry](repeating: Entry(key: Self.vacant, value: filler), count: capacity)
  }

  /// The key of a pair.
  @inline(__always)
  static func key(_ left: TokenID, _ right: TokenID) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  /// The value of `key`, or nil.
  @inline(__always)
  func find(_ key: UInt64) -> Value? {
    entries.withUnsafeBufferPointer { entries in
      let mask = entries.count - 1
      var index = Self.start(key) & mask
      while true {
        if entries[index].key == key { return entries[index].value }
        if entries[index].key == Self.vacant { return nil }
        index = (index + 1) & mask
      }
    }
  }

  /// Changes the value of `key` in place, starting from `initial` when it is absent.
  @inline(__always)
  mutating func update(_ key: UInt64, initial: Value, _ change: (inout Value) -> Void) {
    if (count + 1) * 2 > entries.count { grow() }
    let index = position(of: key)
    if entries[index].key == Self.vacant {
      entries[index] = Entry(key: key, value: initial)
      count += 1
    }
    change(&entries[index].value)
  }

  @inline(__always)
  private static func start(_ key: UInt64) -> Int {
    let product = key &* 0x9E37_79B9_7F4A_7C15
    return Int(truncatingIfNeeded: product ^ product >> 32)
  }

  private func position(of key: UInt64) -> Int {
    let mask = entries.count - 1
    var index = Self.start(key) & mask
    while entries[index].key != key, entries[index].key != Self.vacant { index = (index + 1) & mask }
    return index
  }

  private mutating func grow() {
    let old = entries
    entries = [Entry](repeating: Entry(key: Self.vacant, value: filler), count: old.count * 2)
    for entry in old where entry.key != Self.vacant { entries[position(of: entry.key)] = entry }
  }
}

extension PairTable: Sendable where Value: Sendable {}
extension PairTable.Entry: Sendable where Value: Sendable {}
