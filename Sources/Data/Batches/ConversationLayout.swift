import Foundation

/// The positions of conversations and their answers in the token sequence, and their packing into rows.
struct ConversationLayout: Sendable {
  /// One conversation.
  struct Document: Sendable {
    /// The range of its tokens.
    let range: Range<Int>
    /// The range of each answer's tokens.
    let answers: [Range<Int>]

    /// The number of input tokens in a row of `length`: its last token is only a target; a longer one is truncated.
    func size(in length: Int) -> Int { min(range.count - 1, length) }

    /// Whether a row of `length` tokens contains a target of an answer.
    func hasTargets(in length: Int) -> Bool {
      answers.contains { $0.lowerBound - range.lowerBound <= size(in: length) }
    }
  }

  /// All conversations in order.
  private(set) var documents: [Document] = []

  private let packings = PackingCache()

  /// The maximum number of open rows in packing: enough that rows are nearly full, few enough that packing is fast.
  private static let maximumOpenRows = 64

  /// Adds the documents of a shard whose first token is token `offset` of the sequence.
  ///
  /// - Throws: `DataError` if the starts and answers contradict the number of tokens or each other.
  mutating func append(starts: TokenArray, answers: TokenArray, tokenCount: Int, offset: Int) throws {
    let firsts = starts.elements.map { Int($0) }
    let bounds = answers.elements.map { Int($0) }
    guard firsts.first ?? 0 == 0, zip(firsts, firsts.dropFirst() + [tokenCount]).allSatisfy({ $0 < $1 }) else {
      throw DataError.malformed(starts.path, "does not hold rising positions of documents in \(tokenCount) tokens")
    }
    guard bounds.count.isMultiple(of: 2), zip([0] + bounds, bounds + [tokenCount]).allSatisfy({ $0 <= $1 }) else {
      throw DataError.malformed(answers.path, "does not hold rising pairs of positions in \(tokenCount) tokens")
    }
    var next = 0
    for (first, end) in zip(firsts, firsts.dropFirst() + [tokenCount]) {
      var ranges: [Range<Int>] = []
      while next < bounds.count, bounds[next] < end {
        guard bounds[next] > first, bounds[next + 1] <= end else {
          throw DataError.malformed(answers.path, "has an answer at \(bounds[next]) that is not inside its document")
        }
        ranges.append((offset + bounds[next])..<(offset + bounds[next + 1]))
        next += 2
      }
      documents.append(Document(range: (offset + first)..<(offset + end), answers: ranges))
    }
    guard next == bounds.count else {
      throw DataError.malformed(
        answers.path, "has an answer at \(bounds[next]), after the last of \(tokenCount) tokens")
    }
  }

  /// The documents of each row of `length` tokens, packed first-fit in the order of the data.
  func rows(length: Int) -> [[Int]] { packings.rows(length: length) { pack(length: length) } }

  private func pack(length: Int) -> [[Int]] {
    var rows: [[Int]] = []
    var open: [(row: Int, free: Int)] = []
    for (index, document) in documents.enumerated() where document.hasTargets(in: length) {
      let size = document.size(in: length)
      if let slot = open.firstIndex(where: { $0.free >= size }) {
        rows[open[slot].row].append(index)
        open[slot].free -= size
      } else {
        rows.append([index])
        open.append((rows.count - 1, length - size))
        if open.count > Self.maximumOpenRows, let fullest = open.indices.min(by: { open[$0].free < open[$1].free }) {
          open.remove(at: fullest)
        }
      }
    }
    return rows
  }

  /// Computed packings by row length. The lock guards them.
  private final class PackingCache: @unchecked Sendable {
    private let lock = NSLock()
    private var rowsByLength: [Int: [[Int]]] = [:]

    func rows(length: Int, _ pack: () -> [[Int]]) -> [[Int]] {
      lock.withLock {
        if let rows = rowsByLength[length] { return rows }
        let rows = pack()
        rowsByLength[length] = rows
        return rows
      }
    }
  }
}
