import WidebandDecoding
import WidebandTorch

extension ServedSequence {
  /// Whether all of the prompt has been processed.
  var hasReadPrompt: Bool { session.tokens.count >= queued.request.prompt.count }

  /// Tokens of the prompt that have not been processed, up to the next multiple of `chunk`.
  private func nextChunk(_ chunk: Int) -> Range<Int> {
    let start = session.tokens.count
    return start..<min(queued.request.prompt.count, (start / chunk + 1) * chunk)
  }

  /// Takes the next chunks of the prompt from a cache, as far as it has them: others with the same beginning may have
  /// been processed since the last one. The prompt's last token is left, whose logits have to be computed.
  ///
  /// - Returns: the number of tokens taken.
  func restore(_ chunk: Int, from prefixes: inout PrefixCache) throws -> Int {
    let prompt = queued.request.prompt
    let before = cachedTokens
    while let position = prefix {
      let range = nextChunk(chunk)
      guard range.upperBound < prompt.count, let found = prefixes.find(prompt[range], at: position) else { break }
      try session.restore(Array(prompt[range]), from: found.snapshot)
      prefix = found.next
      cachedTokens += range.count
    }
    return cachedTokens - before
  }

  /// Computes the next chunk of the prompt, and keeps it for others if it is a whole one.
  ///
  /// - Returns: the number of its tokens, and the logits `[V]` after it.
  func read(_ chunk: Int, into prefixes: inout PrefixCache) throws -> (count: Int, logits: Tensor) {
    let range = nextChunk(chunk)
    let tokens = queued.request.prompt[range]
    let logits: Tensor
    if queued.request.reportsPrompt {
      let all = try session.prefillLogits(Array(tokens))
      try report(all, of: range)
      logits = try withTorch { all.select(0, range.count - 1) }
    } else {
      logits = try session.prefill(Array(tokens))
    }
    if range.count == chunk, let position = prefix, let snapshot = try session.snapshot(range) {
      prefix = prefixes.insert(tokens, at: position, snapshot)
    }
    return (range.count, logits)
  }
}
