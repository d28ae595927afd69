import HeapModule
import WidebandCheckedInput

/// The merge loop of byte-pair training, with incrementally updated pair counts.
struct MergeTraining {
  /// The bytes of each token by id.
  private(set) var tokens: [[UInt8]]
  private var merges: [UInt64] = []

  /// The symbols of all distinct words, concatenated; merging shrinks a word in place.
  private var symbols: [TokenID] = []
  private var starts: [Int] = []
  private var lengths: [Int] = []
  private let wordCounts: [Int]

  /// The id of each token by its bytes.
  private var ids: [[UInt8]: TokenID] = [:]
  private var pairCounts = PairTable<Int>(minimumCapacity: 1 << 14, filler: 0)
  /// The words in which each pair has newly appeared since its candidate was last queued.
  private var fresh: [UInt64: [Int32]] = [:]
  private var queue = Heap<Candidate>()
  /// The number of candidates that were queued.
  private var queuedCount = 0

  /// A pair with its count at the time of queueing, and the words to merge it in. The least candidate is the most
  /// frequent pair; equal counts are ordered by the pair's ids, and equal pairs by the order in which they were queued,
  /// so that the order is total and the result does not depend on the heap.
  private struct Candidate: Comparable {
    var count: Int
    let pair: UInt64
    let order: Int
    let words: [Int32]

    static func < (left: Candidate, right: Candidate) -> Bool {
      if left.count != right.count { return left.count > right.count }
      return left.pair == right.pair ? left.order < right.order : left.pair < right.pair
    }

    static func == (left: Candidate, right: Candidate) -> Bool {
      left.order == right.order && left.count == right.count
    }
  }

  /// - Parameters:
  ///   - words: the distinct pieces of the corpus.
  ///   - counts: how often each occurs.
  ///   - specialTokens: the bytes of the tokens with the first ids; nil for a token that no merge can produce.
  ///   - alphabet: the single bytes in the order of their ids.
  init(_ words: ByteStringTable, _ counts: [Int], specialTokens: [[UInt8]?], alphabet: [UInt8]) {
    tokens = specialTokens.map { $0 ?? [] } + alphabet.map { [$0] }
    wordCounts = counts
    var idOfByte = [TokenID](repeating: 0, count: 256)
    for (id, token) in tokens.enumerated() where !token.isEmpty { ids[token] = TokenID(id) }
    for (index, byte) in alphabet.enumerated() { idOfByte[Int(byte)] = TokenID(specialTokens.count + index) }
    for number in 0..<words.count {
      let range = words.range(of: number)
      starts.append(symbols.count)
      lengths.append(range.count)
      for byte in words.storage[range] { symbols.append(idOfByte[Int(byte)]) }
      for index in starts[number]..<max(starts[number], symbols.count - 1) {
        change(symbols[index], symbols[index + 1], by: 1, in: number)
      }
    }
    queueFresh()
  }

  /// The merges in order; if a pair was merged more than once, only its last merge counts.
  var distinctMerges: [(left: TokenID, right: TokenID)] {
    var seen: Set<UInt64> = []
    return merges.reversed().filter { seen.insert($0).inserted }.reversed()
      .map { (TokenID(truncatingIfNeeded: $0 >> 32), TokenID(truncatingIfNeeded: $0)) }
  }

  /// Merges until there are enough tokens or no pair occurs twice.
  mutating func run(vocabularySize: Int) {
    while tokens.count < vocabularySize, var candidate = queue.popMin() {
      let count = pairCounts.find(candidate.pair) ?? 0
      if candidate.count != count {
        candidate.count = count
        queue.insert(candidate)
        continue
      }
      guard count >= 2 else { return }
      let (left, right) = (
        TokenID(truncatingIfNeeded: candidate.pair >> 32), TokenID(truncatingIfNeeded: candidate.pair)
      )
      let bytes = tokens[Int(left)] + tokens[Int(right)]
      let result: TokenID
      if let existing = ids[bytes] {
        result = existing
      } else {
        result = TokenID(tokens.count)
        ids[bytes] = result
        tokens.append(bytes)
      }
      merges.append(candidate.pair)
      for word in candidate.words { merge(left, right, into: result, inWord: Int(word)) }
      queueFresh()
    }
  }

  private mutating func merge(_ left: TokenID, _ right: TokenID, into result: TokenID, inWord word: Int) {
    let start = starts[word]
    let end = start + lengths[word]
    var read = start
    var write = start
    while read < end {
      guard symbols[read] == left, read + 1 < end, symbols[read + 1] == right else {
        symbols[write] = symbols[read]
        (read, write) = (read + 1, write + 1)
        continue
      }
      if write > start {
        change(symbols[write - 1], left, by: -1, in: word)
        change(symbols[write - 1], result, by: 1, in: word)
      }
      symbols[write] = result
      (read, write) = (read + 2, write + 1)
      if read < end {
        change(right, symbols[read], by: -1, in: word)
        change(result, symbols[read], by: 1, in: word)
      }
    }
    lengths[word] = write - start
  }

  private mutating func change(_ left: TokenID, _ right: TokenID, by sign: Int, in word: Int) {
    let pair = PairTable<Int>.key(left, right)
    let amount = sign * wordCounts[word]
    pairCounts.update(pair, initial: 0) { $0 += amount }
    guard sign > 0 else { return }
    let index = Int32(truncatingIfNeeded: word)
    if fresh[pair, default: []].last != index { fresh[pair, default: []].append(index) }
  }

  private mutating func queueFresh() {
    for (pair, words) in fresh {
      let count = pairCounts.find(pair) ?? 0
      guard count > 0 else { continue }
      queue.insert(Candidate(count: count, pair: pair, order: queuedCount, words: words))
      queuedCount += 1
    }
    fresh.removeAll(keepingCapacity: true)
  }
}
