/// The positions of conversations and their answers in the token sequence, and their packing into rows.
struct ConversationLayout: Sendable {
  /// One conversation.
  struct Document: Sendable {
    /// The range of its tokens.
    let range: Range<Int>
    /// The range of each answer's tokens.
    let answers: [Range<Int>]

    /// The number of input tokens in a row of `length`. The document's last token is only a target, and a document that
    /// is too long is truncated.
    func size(in length: Int) -> Int { min(range.count - 1, length) }

    /// Whether a row of `length` tokens contains a target of an answer.
    func hasTargets(in length: Int) -> Bool {
      answers.contains { $0.lowerBound - range.lowerBound <= size(in: length) }
    }
  }

  /// All conversations in order.
  private(set) var documents: [Document] = []

  /// Computed packings by row length.
  private let packings = Locked<[Int: [[Int]]]>([:])

  /// The maximum number of open rows in packing: enough that rows are nearly full, few enough that packing is fast.
  private static let maximumOpenRows = 64

  /// Adds the documents of a shard whose first token is token `offset` of the sequence.
  ///
  /// - Parameter starts: rise strictly from 0 to less than `tokenCount`.
  /// - Throws: `DataError` if the answers contradict the number of tokens or the starts.
  mutating func append(starts: TokenArray, answers: TokenArray, tokenCount: Int, offset: Int) throws {
    let firsts = starts.elements.map { Int($0) }
    let bounds = answers.elements.map { Int($0) }
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
  func rows(length: Int) -> [[Int]] {
    packings.withLock { packings in
      if let rows = packings[length] { return rows }
      let rows = pack(length: length)
      packings[length] = rows
      return rows
    }
  }

  private func pack(length: Int) -> [[Int]] {
    var rows: [[Int]] = []
    var open: [(row: Int, free: Int)] = []
    for (index, document) in documents.enumerated() where document.hasTargets(in: length) {
      let size = document.size(in: length)
      if let openIndex = open.firstIndex(where: { $0.free >= size }) {
        rows[open[openIndex].row].append(index)
        open[openIndex].free -= size
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
}
