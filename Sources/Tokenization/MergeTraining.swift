/// The merge loop of byte-pair training, with pair counts kept up to date incrementally.
struct MergeTraining {
  /// The bytes of each token by id.
  private(set) var tokens: [[UInt8]]
  private var merges: [UInt64] = []

  /// The symbols of all distinct words, one word after the other; a word shrinks in place.
  private var symbols: [Int32] = []
  private var starts: [Int] = []
  private var lengths: [Int] = []
  private let wordCounts: [Int]

  /// The id of each token by its bytes.
  private var ids: [[UInt8]: Int32] = [:]
  private var pairCounts = PairTable<Int>(minimumCapacity: 1 << 14, filler: 0)
  /// The words in which pairs have appeared since their candidates were last queued.
  private var fresh: [UInt64: [Int32]] = [:]
  private var queue = PriorityQueue<Candidate>()

  /// A pair with the count it had when it was queued, and words to merge it in. The most frequent one comes first.
  private struct Candidate: Comparable {
    var count: Int
    let pair: UInt64
    let words: [Int32]

    static func < (left: Candidate, right: Candidate) -> Bool {
      left.count == right.count ? left.pair < right.pair : left.count > right.count
    }

    static func == (left: Candidate, right: Candidate) -> Bool {
      left.count == right.count && left.pair == right.pair
    }
  }

  /// - Parameters:
  ///   - words: the distinct pieces of the corpus.
  ///   - counts: how often each occurs.
  ///   - specialTokens: the bytes of the tokens with the first ids, nil where merges can never make them.
  ///   - alphabet: the single bytes in the order of their ids.
  init(_ words: ByteStringTable, _ counts: [Int], specialTokens: [[UInt8]?], alphabet: [UInt8]) {
    tokens = specialTokens.map { $0 ?? [] } + alphabet.map { [$0] }
    wordCounts = counts
    var idOfByte = [Int32](repeating: 0, count: 256)
    for (id, token) in tokens.enumerated() where !token.isEmpty { ids[token] = Int32(id) }
    for (index, byte) in alphabet.enumerated() { idOfByte[Int(byte)] = Int32(specialTokens.count + index) }
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

  /// The merges in order; of a pair merged more than once only the last counts.
  var distinctMerges: [(left: Int32, right: Int32)] {
    var seen: Set<UInt64> = []
    return merges.reversed().filter { seen.insert($0).inserted }.reversed()
      .map { (Int32(truncatingIfNeeded: $0 >> 32), Int32(truncatingIfNeeded: $0)) }
  }

  /// Merges until there are enough tokens or no pair is frequent enough.
  mutating func run(vocabularySize: Int, minimumFrequency: Int) {
    while tokens.count < vocabularySize, var candidate = queue.pop() {
      let count = pairCounts.find(candidate.pair) ?? 0
      if candidate.count != count {
        candidate.count = count
        queue.push(candidate)
        continue
      }
      guard count >= max(1, minimumFrequency) else { return }
      let (left, right) = (Int32(truncatingIfNeeded: candidate.pair >> 32), Int32(truncatingIfNeeded: candidate.pair))
      let bytes = tokens[Int(left)] + tokens[Int(right)]
      let result: Int32
      if let existing = ids[bytes] {
        result = existing
      } else {
        result = Int32(tokens.count)
        ids[bytes] = result
        tokens.append(bytes)
      }
      merges.append(candidate.pair)
      for word in candidate.words { merge(left, right, into: result, inWord: Int(word)) }
      queueFresh()
    }
  }

  private mutating func merge(_ left: Int32, _ right: Int32, into result: Int32, inWord word: Int) {
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

  private mutating func change(_ left: Int32, _ right: Int32, by sign: Int, in word: Int) {
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
      if count > 0 { queue.push(Candidate(count: count, pair: pair, words: words)) }
    }
    fresh.removeAll(keepingCapacity: true)
  }
}
