import WidebandTorch

extension TokenDataset {
  /// A batch of rows that are packed with conversations. The rest of a row is padded with end-of-text tokens, which are
  /// not targets and belong to no conversation.
  func batch(of rows: [[Int]], in layout: ConversationLayout, length: Int) -> Batch {
    var packed = PackedRows()
    for row in rows {
      for (number, index) in row.enumerated() {
        let document = layout.documents[index]
        let size = document.size(in: length)
        let tokens = tokens(in: document.range.lowerBound..<(document.range.lowerBound + size + 1))
        packed.append(tokens, of: document, number: number, at: packed.tokens.count % length)
      }
      packed.pad(toMultipleOf: length, with: Int64(description.endOfText))
    }
    let shape = [rows.count, length]
    return Batch(
      tokens: Tensor(packed.tokens, shape: shape), targets: Tensor(packed.targets, shape: shape),
      packing: .init(
        positions: Tensor(packed.positions, shape: shape), documents: Tensor(packed.documents, shape: shape),
        anchors: Tensor(packed.anchors, shape: shape)))
  }
}

/// The concatenated rows of a batch while they are filled.
private struct PackedRows {
  var tokens: [Int64] = []
  var targets: [Int64] = []
  var positions: [Int64] = []
  var documents: [Int64] = []
  var anchors: [Int64] = []

  /// Adds a document's tokens, the last of which is only a target.
  mutating func append(
    _ all: [Int64], of document: ConversationLayout.Document, number: Int, at start: Int
  ) {
    let size = all.count - 1
    let first = tokens.count
    tokens += all.dropLast()
    targets += repeatElement(-100, count: size)
    positions += (0..<size).map(Int64.init)
    documents += repeatElement(Int64(number), count: size)
    anchors += repeatElement(-1, count: size)
    for answer in document.answers {
      let range = (answer.lowerBound - document.range.lowerBound)..<(answer.upperBound - document.range.lowerBound)
      for position in range where position <= size { targets[first + position - 1] = all[position] }
      for position in range where position < size { anchors[first + position] = Int64(start + range.lowerBound) }
    }
  }

  /// Pads the last row.
  mutating func pad(toMultipleOf length: Int, with token: Int64) {
    let count = (length - tokens.count % length) % length
    tokens += repeatElement(token, count: count)
    targets += repeatElement(-100, count: count)
    positions += (0..<count).map(Int64.init)
    documents += repeatElement(-1, count: count)
    anchors += repeatElement(-1, count: count)
  }
}
