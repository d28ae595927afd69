import WidebandCheckedInput
import WidebandTorch

extension TokenDataset {
  /// The batch of one step, or some of its rows: a pure function of its arguments.
  ///
  /// - Parameters:
  ///   - step: the index of the batch, from 0.
  ///   - rows: B, the rows of the whole batch.
  ///   - part: the rows to return, for gradient accumulation; nil for all.
  ///   - length: T, the tokens of a row.
  ///   - seed: the seed of the order of windows.
  /// - Throws: `DataError` if the split is shorter than a row, a token is not in the vocabulary, or the batch exceeds
  ///   `Limits.batchTokens`.
  public func batch(step: Int, rows: Int, part: Range<Int>? = nil, length: Int, seed: UInt64) throws -> Batch {
    let windows = try windowCount(length: length)
    let part = part ?? 0..<max(0, rows)
    guard step >= 0, rows >= 1, let first = Int.product(step, rows), first <= Int.max - rows,
      part.lowerBound >= 0, part.upperBound <= rows, !part.isEmpty
    else {
      throw DataError.invalidArgument("batch \(step) of \(rows) rows: expected a step from 0 on and at least 1 row")
    }
    guard let tokens = Int.product(part.count, length), Limits.batchTokens.contains(tokens) else {
      throw DataError.invalidArgument(
        "\(part.count) rows of \(length) tokens: expected at most \(Limits.batchTokens.upperBound) tokens at once")
    }
    let chosen = part.map { row in
      let sample = first + row
      let key = DataPermutation.hash(UInt64(sample / windows), key: seed)
      return DataPermutation(count: windows, key: key)(sample % windows)
    }
    try check(chosen, length)
    return try withTorch { batch(of: chosen, length: length) }
  }

  /// All windows in order, `rows` at a time; the last batch may have fewer rows. A last window that is not full is
  /// padded with end-of-text tokens, which are not targets. A batch is made when it is asked for.
  ///
  /// - Parameter limit: the maximum number of tokens, but at least one window is returned.
  /// - Throws: `DataError` if there are no targets, or a token is not in the vocabulary.
  public func validationBatches(rows: Int, length: Int, limit: Int = .max) throws
    -> some RandomAccessCollection<Batch>
  {
    guard rows >= 1 else { throw DataError.invalidArgument("batches of \(rows) rows: expected at least 1") }
    let all = try evaluationRowCount(length: length)
    let windows = min(all, max(1, limit / length))
    try check(Array(0..<windows), length)
    return (0..<(1 + (windows - 1) / rows)).lazy.map { number in
      let first = number * rows
      return batch(of: Array(first..<(first + min(rows, windows - first))), length: length)
    }
  }

  /// The tokens of a window and the next one, clipped to the split.
  private func span(_ window: Int, _ length: Int) -> Range<Int> {
    let start = window * length
    return start..<min(tokenCount, start + length + 1)
  }

  private func check(_ windows: [Int], _ length: Int) throws {
    guard let conversations else { return try windows.forEach { try checkTokens(in: span($0, length)) } }
    let rows = conversations.rows(length: length)
    for document in windows.flatMap({ rows[$0] }) { try checkTokens(in: conversations.documents[document].range) }
  }

  private func batch(of windows: [Int], length: Int) -> Batch {
    if let conversations {
      let rows = conversations.rows(length: length)
      return batch(of: windows.map { rows[$0] }, in: conversations, length: length)
    }
    var inputs: [Int64] = []
    var targets: [Int64] = []
    inputs.reserveCapacity(windows.count * length)
    targets.reserveCapacity(windows.count * length)
    for window in windows {
      let tokens = tokens(in: span(window, length))
      let missing = length + 1 - tokens.count
      inputs += tokens.dropLast() + repeatElement(Int64(description.endOfText), count: missing)
      targets += tokens.dropFirst() + repeatElement(-100, count: missing)
    }
    let shape = [windows.count, length]
    return Batch(tokens: Tensor(inputs, shape: shape), targets: Tensor(targets, shape: shape))
  }

  /// The tokens of a range of the sequence, which may span several shards.
  func tokens(in range: Range<Int>) -> [Int64] {
    [Int64](unsafeUninitializedCapacity: range.count) { target, filled in
      while filled < range.count {
        let position = range.lowerBound + filled
        let shard = shard(at: position)
        let end = min(range.upperBound, starts[shard + 1])
        let part = UnsafeMutableBufferPointer(rebasing: target[filled..<(filled + end - position)])
        shards[shard].copy((position - starts[shard])..<(end - starts[shard]), to: part)
        filled += part.count
      }
    }
  }

  /// The shard that holds a position: the last one that starts at or before it.
  private func shard(at position: Int) -> Int {
    var range = 0..<shards.count
    while range.count > 1 {
      let middle = range.lowerBound + range.count / 2
      range = starts[middle] <= position ? middle..<range.upperBound : range.lowerBound..<middle
    }
    return range.lowerBound
  }

  private func checkTokens(in range: Range<Int>) throws {
    let size = Int64(description.vocabularySize)
    guard let wrong = tokens(in: range).enumerated().first(where: { $0.element >= size || $0.element < 0 }) else {
      return
    }
    let position = range.lowerBound + wrong.offset
    let shard = shard(at: position)
    throw DataError.mismatch(
      shards[shard].path,
      "token \(position - starts[shard]) is \(wrong.element): expected an id less than the vocabulary's \(size)")
  }
}
