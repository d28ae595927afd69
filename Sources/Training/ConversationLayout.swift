import Foundation

/// Where the documents of chat data and the answers in them stand in the sequence of tokens, and how they share rows.
struct ConversationLayout: Sendable {
  /// One conversation.
  struct Document: Sendable {
    /// Its tokens.
    let range: Range<Int>
    /// The tokens of each answer.
    let answers: [Range<Int>]

    /// Tokens that it takes of a row, of which the last one's successor is known; a longer one is cut off.
    func size(in length: Int) -> Int { min(range.count - 1, length) }

    /// Whether there is anything to learn from what fits a row.
    func isOfUse(in length: Int) -> Bool {
      answers.contains { $0.lowerBound - range.lowerBound <= size(in: length) }
    }
  }

  /// All conversations in order.
  private(set) var documents: [Document] = []

  private let plans = Plans()

  /// Rows that may still take a document: enough to fill most rows, few enough that packing takes no time.
  private static let openRows = 64

  /// Adds the documents of a shard whose first token is token `offset` of the sequence.
  ///
  /// - Throws: `DataError` if the files of starts and answers do not fit the tokens or each other.
  mutating func append(starts: TokenArray, answers: TokenArray, tokenCount: Int, offset: Int) throws {
    let firsts = starts.elements.map { Int($0) }
    let bounds = answers.elements.map { Int($0) }
    guard firsts.first ?? 0 == 0, zip(firsts, firsts.dropFirst() + [tokenCount]).allSatisfy({ $0 < $1 }) else {
      throw DataError(starts.path, "does not hold rising positions of documents in \(tokenCount) tokens")
    }
    guard bounds.count.isMultiple(of: 2), zip([0] + bounds, bounds + [tokenCount]).allSatisfy({ $0 <= $1 }) else {
      throw DataError(answers.path, "does not hold rising pairs of positions in \(tokenCount) tokens")
    }
    var next = 0
    for (first, end) in zip(firsts, firsts.dropFirst() + [tokenCount]) {
      var ranges: [Range<Int>] = []
      while next < bounds.count, bounds[next] < end {
        guard bounds[next] > first, bounds[next + 1] <= end else {
          throw DataError(answers.path, "has an answer at \(bounds[next]) that is not inside its document")
        }
        ranges.append((offset + bounds[next])..<(offset + bounds[next + 1]))
        next += 2
      }
      documents.append(Document(range: (offset + first)..<(offset + end), answers: ranges))
    }
    guard next == bounds.count else {
      throw DataError(answers.path, "has an answer at \(bounds[next]), after the last of \(tokenCount) tokens")
    }
  }

  /// The documents of each row of `length` tokens: first fit, in the order of the data.
  func rows(length: Int) -> [[Int]] { plans.rows(length: length) { pack(length: length) } }

  private func pack(length: Int) -> [[Int]] {
    var rows: [[Int]] = []
    var open: [(row: Int, room: Int)] = []
    for (index, document) in documents.enumerated() where document.isOfUse(in: length) {
      let size = document.size(in: length)
      if let slot = open.firstIndex(where: { $0.room >= size }) {
        rows[open[slot].row].append(index)
        open[slot].room -= size
      } else {
        rows.append([index])
        open.append((rows.count - 1, length - size))
        if open.count > Self.openRows, let fullest = open.indices.min(by: { open[$0].room < open[$1].room }) {
          open.remove(at: fullest)
        }
      }
    }
    return rows
  }

  /// Packings that have been made, by length. The lock guards them.
  private final class Plans: @unchecked Sendable {
    private let lock = NSLock()
    private var made: [Int: [[Int]]] = [:]

    func rows(length: Int, _ make: () -> [[Int]]) -> [[Int]] {
      lock.withLock {
        if let rows = made[length] { return rows }
        let rows = make()
        made[length] = rows
        return rows
      }
    }
  }
}
