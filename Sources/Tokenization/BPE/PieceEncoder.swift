import HeapModule
import WidebandCheckedInput

/// Encodes one piece of text at a time by byte-pair merging, with a cache of recent pieces.
///
/// Merging repeats one step: of all adjacent pairs in the merge table, the one of lowest rank, leftmost first, is
/// replaced by its result (Sennrich et al. 2016, arXiv:1508.07909). An encoder is used by one thread at a time.
final class PieceEncoder {
  private let model: MergeModel
  // Copies of what every piece needs: access through the model would cost reference counting each time.
  private let byteIDs: [TokenID]
  private let mergeTable: PairTable<UInt64>
  private var cache = PieceCache()
  private var symbols: [TokenID] = []
  private var pairs: [UInt64] = []

  /// Pieces of at most this many symbols are merged by scanning, longer ones with a heap.
  private static let scanLimit = 64

  init(_ model: MergeModel) {
    self.model = model
    byteIDs = model.byteIDs
    mergeTable = model.vocabulary.mergeTable
  }

  /// Appends the ids of a non-empty piece.
  func encode(_ piece: Bytes, into ids: inout [TokenID]) {
    if piece.count == 1 {
      let id = byteIDs[Int(piece[0])]
      if id >= 0 { return ids.append(id) }
    }
    guard piece.count <= PieceCache.maximumLength else { return merge(piece, into: &ids) }
    let hash = ByteStringTable.hash(piece)
    if cache.append(piece, hash, to: &ids) { return }
    let start = ids.count
    merge(piece, into: &ids)
    cache.store(piece, hash, ids[start...])
  }

  private func merge(_ piece: Bytes, into ids: inout [TokenID]) {
    if model.ignoresMerges, let id = model.vocabulary.id(of: piece) {
      ids.append(id)
      return
    }
    symbols.removeAll(keepingCapacity: true)
    var wasUnknown = false
    for byte in piece {
      let id = byteIDs[Int(byte)]
      if id >= 0 {
        symbols.append(id)
      } else if let unknown = model.unknownID, !(wasUnknown && model.fusesUnknown) {
        symbols.append(unknown)
      }
      wasUnknown = id < 0
    }
    if symbols.count <= Self.scanLimit {
      mergeByScanning()
    } else {
      mergeWithHeap()
    }
    ids.append(contentsOf: symbols)
  }

  @inline(__always)
  private func pair(_ left: TokenID, _ right: TokenID) -> UInt64 {
    mergeTable.find(PairTable<UInt64>.key(left, right)) ?? .max
  }

  private func mergeByScanning() {
    guard symbols.count > 1 else { return }
    pairs.removeAll(keepingCapacity: true)
    for index in 1..<symbols.count { pairs.append(pair(symbols[index - 1], symbols[index])) }
    while let (index, best) = leastPair() {
      symbols[index] = TokenID(truncatingIfNeeded: best)
      symbols.remove(at: index + 1)
      pairs.remove(at: index)
      if index > 0 { pairs[index - 1] = pair(symbols[index - 1], symbols[index]) }
      if index < pairs.count { pairs[index] = pair(symbols[index], symbols[index + 1]) }
    }
  }

  @inline(__always)
  private func leastPair() -> (index: Int, pair: UInt64)? {
    var least = UInt64.max
    var position = 0
    for (index, pair) in pairs.enumerated() where pair < least { (position, least) = (index, pair) }
    return least == .max ? nil : (position, least)
  }

  /// The same merges with a linked list and a heap: time n log n in the length of the piece.
  private func mergeWithHeap() {
    let count = symbols.count
    var next = Array(1...count)
    var previous = Array(-1..<count - 1)
    // Entries are (rank, position); one whose pair has changed since is recognized by its rank.
    var queue = Heap<UInt64>()
    func enqueue(_ position: Int) {
      guard position >= 0, next[position] < count else { return }
      let found = pair(symbols[position], symbols[next[position]])
      if found != .max { queue.insert(found & ~0xFFFF_FFFF | UInt64(position)) }
    }
    for position in 0..<count { enqueue(position) }
    while let entry = queue.popMin() {
      let position = Int(entry & 0xFFFF_FFFF)
      let right = next[position]
      guard symbols[position] >= 0, right < count else { continue }
      let found = pair(symbols[position], symbols[right])
      guard found != .max, found >> 32 == entry >> 32 else { continue }
      symbols[position] = TokenID(truncatingIfNeeded: found)
      symbols[right] = -1
      next[position] = next[right]
      if next[right] < count { previous[next[right]] = position }
      enqueue(previous[position])
      enqueue(position)
    }
    symbols.removeAll { $0 < 0 }
  }
}

/// The merge model of a tokenizer file.
struct MergeModel: Sendable {
  var vocabulary: Vocabulary
  /// The id of each single byte, or -1, `[256]`.
  var byteIDs: [TokenID]
  /// The id of bytes without a token; nil where such bytes are dropped.
  var unknownID: TokenID?
  /// Whether a run of bytes without a token becomes one id.
  var fusesUnknown: Bool
  /// Whether a piece that is a token as a whole is encoded without merging.
  var ignoresMerges: Bool
}
