import WidebandCheckedInput
import WidebandDecoding

/// The keys and values of whole chunks of earlier prompts, for prompts that begin alike.
///
/// Chunks begin at multiples of a fixed length, so a prompt that starts from cached ones runs the same passes on the rest
/// as it would alone, and has the same bits. The chunks that were used least recently go first.
struct PrefixCache {
  /// A chunk is what follows another one, or the start of a prompt.
  private struct Key: Hashable {
    let parent: Int
    let tokens: ArraySlice<TokenID>
  }

  private struct Entry {
    let id: Int
    let snapshot: KVSnapshot
    var lastUse: Int
  }

  /// The parent of a prompt's first chunk.
  static let root = 0

  private let chunk: Int
  private let limit: Int
  private var entries: [Key: Entry] = [:]
  private var nextID = 1
  private var clock = 0
  /// Bytes of all entries.
  private(set) var byteCount = 0

  /// - Parameters:
  ///   - chunk: tokens of a chunk.
  ///   - limit: the maximum of bytes.
  init(chunk: Int, limit: Int) { (self.chunk, self.limit) = (chunk, limit) }

  /// The cached chunks at the start of a prompt, without its last token, whose logits have to be computed.
  mutating func match(_ prompt: [TokenID]) -> (snapshots: [KVSnapshot], last: Int) {
    var keys: [Key] = []
    var snapshots: [KVSnapshot] = []
    var parent = Self.root
    for start in stride(from: 0, to: prompt.count - chunk, by: chunk) {
      let key = Key(parent: parent, tokens: prompt[start..<(start + chunk)])
      guard let entry = entries[key] else { break }
      keys.append(key)
      snapshots.append(entry.snapshot)
      parent = entry.id
    }
    // Later chunks are of no use without earlier ones: those are newer.
    for key in keys.reversed() {
      clock += 1
      entries[key]?.lastUse = clock
    }
    return (snapshots, parent)
  }

  /// Keeps a chunk, and returns what the next one follows.
  mutating func insert(_ tokens: [TokenID], after parent: Int, _ snapshot: KVSnapshot) -> Int {
    let key = Key(parent: parent, tokens: tokens[...])
    if let entry = entries[key] { return entry.id }
    guard snapshot.byteCount <= limit else { return -1 }
    while byteCount + snapshot.byteCount > limit, let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse })
    {
      byteCount -= oldest.value.snapshot.byteCount
      entries[oldest.key] = nil
    }
    clock += 1
    let id = nextID
    nextID += 1
    entries[key] = Entry(id: id, snapshot: snapshot, lastUse: clock)
    byteCount += snapshot.byteCount
    return id
  }
}
