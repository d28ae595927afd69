/// Splits text into the pieces within which tokens are merged: the `pre_tokenizer` of a tokenizer file.
struct PreTokenizer: Sendable {
  /// The treatment of the matches of a Split.
  enum Behavior: String, Sendable, CaseIterable {
    case isolated = "Isolated"
    case removed = "Removed"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    case contiguous = "Contiguous"
  }

  /// One step; each piece of a step is input to the next.
  enum Step: Sendable {
    /// Splits at the matches of a pattern, or at the spans between them if inverted.
    case split(Pattern, Behavior, isInverted: Bool)
    /// Prepends a space to each piece that does not begin with one.
    case prefixSpace
  }

  /// The pattern of the GPT-2 tokenizer, which the ByteLevel pre-tokenizer applies by default.
  static let gpt2Pattern =
    #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

  var steps: [Step]

  /// Calls `body` with each non-empty piece of `text`, in order.
  ///
  /// - Parameter text: valid UTF-8. The pieces are views into it or into a buffer that lives as long as the call.
  func forEachPiece(in text: Bytes, _ state: MatchState, _ body: (Bytes) throws -> Void) throws {
    try run(0, text, state, body)
  }

  private func run(_ index: Int, _ text: Bytes, _ state: MatchState, _ body: (Bytes) throws -> Void) throws {
    guard !text.isEmpty else { return }
    guard index < steps.count else { return try body(text) }
    switch steps[index] {
    case .prefixSpace:
      guard text[0] != UInt8(ascii: " ") else { return try run(index + 1, text, state, body) }
      let prefixed = [UInt8(ascii: " ")] + text
      try prefixed.withUnsafeBufferPointer { try run(index + 1, $0, state, body) }
    case .split(let pattern, let behavior, let isInverted):
      var regrouping = Regrouping(behavior)
      func emit(_ range: Range<Int>) throws { try run(index + 1, Bytes(rebasing: text[range]), state, body) }
      var end = 0
      try pattern.forEachMatch(in: text, state) { start, matchEnd in
        if end < start { try regrouping.add(end..<start, isMatch: isInverted, emit) }
        try regrouping.add(start..<matchEnd, isMatch: !isInverted, emit)
        end = matchEnd
      }
      if end < text.count { try regrouping.add(end..<text.count, isMatch: isInverted, emit) }
      try regrouping.finish(emit)
    }
  }
}

/// Joins matches and the spans between them according to a behavior, one segment at a time.
private struct Regrouping {
  private let behavior: PreTokenizer.Behavior
  private var pending: Range<Int>?
  private var wasMatch = false

  init(_ behavior: PreTokenizer.Behavior) {
    self.behavior = behavior
  }

  @inline(__always)
  mutating func add(_ range: Range<Int>, isMatch: Bool, _ emit: (Range<Int>) throws -> Void) throws {
    if behavior == .isolated { return try emit(range) }
    if behavior == .removed { return isMatch ? () : try emit(range) }
    let joins =
      switch behavior {
      case .mergedWithPrevious: isMatch && !wasMatch
      case .mergedWithNext: !isMatch && wasMatch
      default: isMatch == wasMatch
      }
    wasMatch = isMatch
    if joins, let start = pending?.lowerBound {
      pending = start..<range.upperBound
    } else {
      try finish(emit)
      pending = range
    }
  }

  mutating func finish(_ emit: (Range<Int>) throws -> Void) throws {
    if let range = pending { try emit(range) }
    pending = nil
  }
}
