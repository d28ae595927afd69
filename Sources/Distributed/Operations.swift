/// The collective operations that a rank has started.
struct Operations: Equatable {
  /// How many.
  private(set) var count = 0
  /// The last ones in words, such as "allGather of float32[3]".
  private var names: [String] = []

  /// How many names are kept: more than operations that are started before the first of them ends.
  private static let kept = 256

  init() {}

  /// Operations as the store has them; nil for another text.
  init?(text: String) {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard let first = lines.first, let count = Int(first), lines.count - 1 <= count else { return nil }
    (self.count, names) = (count, lines.dropFirst().map(String.init))
  }

  /// The text for the store: the number, and the names in lines.
  var text: String { ([String(count)] + names).joined(separator: "\n") }

  /// Adds an operation.
  ///
  /// - Returns: what tells the messages of this operation from those of others, here and on other ranks: 12 bits of its
  ///   number, as several may be under way, and 20 of a hash of its name (FNV-1a), so that an operation of another kind,
  ///   length or dtype on another rank takes none of them.
  mutating func start(_ name: String) -> UInt32 {
    count += 1
    if names.count == Self.kept { names.removeFirst() }
    names.append(name)
    let hash = name.utf8.reduce(2_166_136_261 as UInt32) { ($0 ^ UInt32($1)) &* 16_777_619 }
    return UInt32(truncatingIfNeeded: count) << 20 | (hash >> 20 ^ hash & 0xF_FFFF)
  }

  /// The name of an operation, from number 1 on; nil for one that has not started, or long ago.
  subscript(number: Int) -> String? {
    let index = number - 1 - (count - names.count)
    return names.indices.contains(index) ? names[index] : nil
  }

  /// The sentence about the first operation that is another one on a rank than on the others; nil if all that is known is
  /// the same.
  static func difference(in all: [Operations], hosts: [String]) -> String? {
    let last = all.map(\.count).min() ?? 0
    for number in (max(1, last - kept + 1))...max(1, last) {
      let names = all.map { $0[number] }
      guard !names.contains(nil),
        let sentence = ProcessGroup.difference(in: names, of: "operation \(number)", hosts: hosts)
      else { continue }
      return sentence
    }
    return nil
  }
}
