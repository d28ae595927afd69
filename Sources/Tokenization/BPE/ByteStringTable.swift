/// A set of byte strings numbered in the order of their insertion, with lookup by content.
///
/// The strings are concatenated in one array and found by an open-addressing table of 64-bit slots: a vocabulary of
/// 150,000 tokens takes three allocations instead of one per token. The total length is limited to 4 GB. Lookup and
/// insertion take time proportional to the length of the string.
struct ByteStringTable: Sendable {
  /// All strings, concatenated.
  private(set) var storage: [UInt8] = []
  /// The end of each string in `storage`; it starts at the end of the previous one.
  private(set) var ends: [UInt32] = []
  /// High half: hash; low half: number + 1, or 0 for an empty slot.
  private var slots: [UInt64]

  init(minimumCapacity: Int = 16) {
    var capacity = 32
    while capacity * 3 < minimumCapacity * 4 { capacity *= 2 }
    slots = [UInt64](repeating: 0, count: capacity)
    ends.reserveCapacity(minimumCapacity)
    storage.reserveCapacity(minimumCapacity * 7)
  }

  var count: Int { ends.count }

  /// The range of string `number` in `storage`.
  func range(of number: Int) -> Range<Int> {
    (number == 0 ? 0 : Int(ends[number - 1]))..<Int(ends[number])
  }

  /// The number of the string equal to `key`, or nil.
  func find(_ key: Bytes) -> Int? {
    let slot = slots[slotIndex(of: key, hash: Self.hash(key))]
    return slot == 0 ? nil : Int(slot & 0xFFFF_FFFF) - 1
  }

  /// Whether string `number` exists and equals `key`.
  func matches(_ number: Int, _ key: Bytes) -> Bool {
    number < count && equals(key, number)
  }

  /// Adds `key` if it is new; returns its number and whether it was added.
  mutating func insert(_ key: Bytes) -> (number: Int, isNew: Bool) {
    let hash = Self.hash(key)
    let index = slotIndex(of: key, hash: hash)
    if slots[index] != 0 { return (Int(slots[index] & 0xFFFF_FFFF) - 1, false) }
    let number = ends.count
    storage.append(contentsOf: key)
    ends.append(UInt32(storage.count))
    slots[index] = hash & ~0xFFFF_FFFF | UInt64(number + 1)
    if ends.count * 4 > slots.count * 3 { grow() }
    return (number, true)
  }

  /// A 64-bit hash whose high and low halves are both well mixed.
  @inline(__always)
  static func hash(_ key: Bytes) -> UInt64 {
    let raw = UnsafeRawBufferPointer(key)
    var hash = UInt64(truncatingIfNeeded: key.count) &* 0x9E37_79B9_7F4A_7C15
    var index = 0
    while index + 8 <= raw.count {
      hash = mix(hash ^ raw.loadUnaligned(fromByteOffset: index, as: UInt64.self))
      index += 8
    }
    var rest: UInt64 = 0
    while index < raw.count {
      rest = rest << 8 | UInt64(raw[index])
      index += 1
    }
    return mix(hash ^ rest)
  }

  @inline(__always)
  static func mix(_ value: UInt64) -> UInt64 {
    let product = (value ^ 0xD6E8_FEB8_6659_FD93).multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
    return product.high ^ product.low
  }

  @inline(__always)
  private func slotIndex(of key: Bytes, hash: UInt64) -> Int {
    let mask = slots.count - 1
    var index = Int(truncatingIfNeeded: hash) & mask
    while slots[index] != 0 {
      if (slots[index] ^ hash) >> 32 == 0, equals(key, Int(slots[index] & 0xFFFF_FFFF) - 1) { break }
      index = (index + 1) & mask
    }
    return index
  }

  @inline(__always)
  private func equals(_ key: Bytes, _ number: Int) -> Bool {
    let range = range(of: number)
    guard range.count == key.count else { return false }
    return storage.withUnsafeBufferPointer { storage in
      for offset in 0..<key.count where storage[range.lowerBound + offset] != key[offset] { return false }
      return true
    }
  }

  private mutating func grow() {
    var larger = [UInt64](repeating: 0, count: slots.count * 2)
    let mask = larger.count - 1
    for number in 0..<ends.count {
      let hash = storage.withUnsafeBufferPointer { Self.hash(Bytes(rebasing: $0[range(of: number)])) }
      var index = Int(truncatingIfNeeded: hash) & mask
      while larger[index] != 0 { index = (index + 1) & mask }
      larger[index] = hash & ~0xFFFF_FFFF | UInt64(number + 1)
    }
    slots = larger
  }
}
