import WidebandCheckedInput
import WidebandDecoding

/// The keys and values of whole chunks of earlier prompts, for prompts that begin alike.
///
/// Chunks begin at multiples of a fixed length, so a prompt that starts from cached ones runs the same passes on the rest
/// as it would alone, and has the same bits. The chunks of the prompt that was used least recently go first, the last of
/// them before the others: later chunks are of no use without earlier ones. A prompt never takes the place of its own.
struct PrefixCache {
  /// Where a prompt is in the cache.
  struct Position {
    /// The chunk that comes before; nil at the start.
    fileprivate var parent: Int?
    /// The number of chunks before it.
    fileprivate var depth = 0
    /// When the prompt began.
    fileprivate let use: Int
  }

  /// A chunk is what follows another one, or the start of a prompt.
  private struct Key: Hashable {
    let parent: Int?
    let tokens: ArraySlice<TokenID>
  }

  private struct Entry {
    let id: Int
    let depth: Int
    let snapshot: KVSnapshot
    var lastUse: Int
  }

  private let limit: Int
  private var entries: [Key: Entry] = [:]
  private var nextID = 0
  private var clock = 0
  /// Bytes of all entries.
  private(set) var byteCount = 0

  /// - Parameter limit: the maximum of bytes.
  init(limit: Int) { self.limit = limit }

  /// The start of a prompt, whose chunks are all used at this time.
  mutating func begin() -> Position {
    clock += 1
    return Position(use: clock)
  }

  /// The chunk at a position, and the position after it.
  mutating func find(
    _ tokens: ArraySlice<TokenID>, at position: Position
  ) -> (snapshot: KVSnapshot, next: Position)? {
    let key = Key(parent: position.parent, tokens: tokens)
    guard var entry = entries[key] else { return nil }
    entry.lastUse = max(entry.lastUse, position.use)
    entries[key] = entry
    return (entry.snapshot, after(entry, position))
  }

  /// Keeps a chunk, and returns the position after it; nil where it has no place.
  mutating func insert(
    _ tokens: ArraySlice<TokenID>, at position: Position, _ snapshot: KVSnapshot
  ) -> Position? {
    if let found = find(tokens, at: position) { return found.next }
    guard makeSpace(for: snapshot, usedAt: position.use) else { return nil }
    let entry = Entry(id: nextID, depth: position.depth, snapshot: snapshot, lastUse: position.use)
    nextID += 1
    // A copy of the tokens alone: a slice holds its whole prompt.
    entries[Key(parent: position.parent, tokens: Array(tokens)[...])] = entry
    byteCount += snapshot.byteCount
    return after(entry, position)
  }

  private func after(_ entry: Entry, _ position: Position) -> Position {
    Position(parent: entry.id, depth: position.depth + 1, use: position.use)
  }

  private mutating func makeSpace(for snapshot: KVSnapshot, usedAt use: Int) -> Bool {
    guard snapshot.byteCount <= limit else { return false }
    while byteCount + snapshot.byteCount > limit {
      let victim = entries.min { ($0.value.lastUse, -$0.value.depth) < ($1.value.lastUse, -$1.value.depth) }
      guard let victim, victim.value.lastUse < use else { return false }
      byteCount -= victim.value.snapshot.byteCount
      entries[victim.key] = nil
    }
    return true
  }
}
