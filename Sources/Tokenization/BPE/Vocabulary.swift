import WidebandCheckedInput

/// The vocabulary of a byte-level model: ids by the bytes of tokens, and the merges.
struct Vocabulary: Sendable {
  /// The maximum id in a file. It bounds the memory that a malformed file can make a reader allocate.
  static let maximumID = (1 << 24) - 1

  /// Tokens spelled in the byte alphabet, in file order.
  private var table: ByteStringTable
  /// The id of each entry of `table`.
  private var ids: [TokenID] = []
  /// Tokens with characters outside the byte alphabet: they are decoded, but no text is encoded to them.
  private(set) var foreign: [[UInt8]: TokenID] = [:]
  /// The rank (high half) and the result's id (low half) of each pair.
  private(set) var mergeTable: PairTable<UInt64>
  /// The pairs in the order of the file.
  private(set) var merges: [(left: TokenID, right: TokenID)] = []
  private var nextResult = 0

  init(minimumCapacity: Int = 16) {
    table = ByteStringTable(minimumCapacity: minimumCapacity)
    mergeTable = PairTable(minimumCapacity: minimumCapacity, filler: 0)
    ids.reserveCapacity(minimumCapacity)
    merges.reserveCapacity(minimumCapacity)
  }

  /// The number of tokens.
  var count: Int { ids.count + foreign.count }

  /// Adds a token; an existing one gets the new id, as the last of equal keys counts.
  mutating func add(_ bytes: Bytes, id: TokenID) {
    let (number, isNew) = table.insert(bytes)
    if isNew { ids.append(id) } else { ids[number] = id }
  }

  /// Adds a token that is not spelled in the byte alphabet; an existing one gets the new id.
  mutating func addForeign(_ content: [UInt8], id: TokenID) { foreign[content] = id }

  /// The id of the token with these bytes, or nil.
  @inline(__always)
  func id(of bytes: Bytes) -> TokenID? {
    table.find(bytes).map { ids[$0] }
  }

  /// The id of a token with the spelling of the file, valid UTF-8.
  func id(spelled spelling: Bytes) -> TokenID? {
    var bytes: [UInt8] = []
    guard ByteAlphabet.decode(spelling, into: &bytes) else { return foreign[[UInt8](spelling)] }
    return bytes.withUnsafeBufferPointer { id(of: $0) }
  }

  /// Appends the merge of the first `leftCount` bytes with the rest; a pair that occurs again gets its last rank.
  ///
  /// - Returns: the range of `bytes` that is missing from the vocabulary, or nil if the merge was added.
  mutating func addMerge(_ bytes: Bytes, leftCount: Int) -> Range<Int>? {
    guard let left = id(of: Bytes(rebasing: bytes[..<leftCount])) else { return 0..<leftCount }
    guard let right = id(of: Bytes(rebasing: bytes[leftCount...])) else { return leftCount..<bytes.count }
    // Files list merges in the order of the tokens they make, so the token after the last result is tried first.
    guard let number = table.matches(nextResult, bytes) ? nextResult : table.find(bytes) else {
      return 0..<bytes.count
    }
    nextResult = number + 1
    let value = UInt64(merges.count) << 32 | UInt64(UInt32(bitPattern: ids[number]))
    merges.append((left, right))
    mergeTable.update(PairTable<UInt64>.key(left, right), initial: value) { $0 = value }
    return nil
  }

  /// Calls `body` with the bytes and id of each token.
  func forEachToken(_ body: (Bytes, TokenID) throws -> Void) rethrows {
    try table.storage.withUnsafeBufferPointer { storage in
      for number in 0..<table.count { try body(Bytes(rebasing: storage[table.range(of: number)]), ids[number]) }
    }
    for (content, id) in foreign { try content.withUnsafeBufferPointer { try body($0, id) } }
  }
}
