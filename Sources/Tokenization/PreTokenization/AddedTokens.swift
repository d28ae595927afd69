import WidebandCheckedInput

/// A token outside the merge model that is matched verbatim in text: "<|endoftext|>", "<think>".
public struct AddedToken: Sendable, Equatable {
  /// The token's id.
  public var id: TokenID
  /// The text it matches.
  public var content: String
  /// Whether decoding can skip it and templates may use it.
  public var isSpecial: Bool
  /// Whether its normalized content is matched in normalized text.
  public var isNormalized: Bool
  /// Whether the match includes white space before it.
  public var stripsLeft: Bool
  /// Whether the match includes white space after it.
  public var stripsRight: Bool
  /// Whether it matches only where no word character is adjacent.
  public var isSingleWord: Bool

  /// Whether ids, flags and the bytes of the contents are equal.
  public static func == (first: AddedToken, second: AddedToken) -> Bool {
    first.id == second.id && first.matches(second.content) && first.flags == second.flags
  }

  /// Whether the content has exactly these bytes. Canonically equivalent strings are different tokens.
  func matches(_ text: String) -> Bool { content.utf8.elementsEqual(text.utf8) }

  var flags: [Bool] { [isSpecial, isNormalized, stripsLeft, stripsRight, isSingleWord] }
}

extension AddedToken {
  /// A token with an id, and the content and flags in `node`.
  init(id: TokenID, _ node: JSONNode) throws {
    let isSpecial = try node.flag("special", default: false)
    self.init(
      id: id, content: try node.required("content").string(), isSpecial: isSpecial,
      isNormalized: try node.flag("normalized", default: !isSpecial),
      stripsLeft: try node.flag("lstrip", default: false), stripsRight: try node.flag("rstrip", default: false),
      isSingleWord: try node.flag("single_word", default: false))
  }

  /// A special token of which only the text is given.
  init(special content: String) {
    self.init(
      id: -1, content: content, isSpecial: true, isNormalized: false, stripsLeft: false, stripsRight: false,
      isSingleWord: false)
  }
}

extension Vocabulary {
  /// The id of an added token's text in the merge model, or nil.
  func id(of token: AddedToken) -> TokenID? {
    Array(token.content.utf8).withUnsafeBufferPointer { id(spelled: $0) }
  }
}

/// Finds added tokens in text: the leftmost match, and the longest of those with the same start.
struct AddedTokenMatcher: Sendable {
  private let tokens: [AddedToken]
  /// A trie: node 0 is the root; children by (node, byte).
  private var children: [UInt64: Int] = [:]
  /// The token that ends at each node, or -1.
  private var tokenAtNode: [Int] = [-1]
  private var isFirstByte = [Bool](repeating: false, count: 256)

  /// - Parameter patterns: tokens, each with the bytes to look for.
  init(_ patterns: [(token: AddedToken, bytes: [UInt8])]) {
    tokens = patterns.map(\.token)
    for (index, (_, pattern)) in patterns.enumerated() {
      guard let first = pattern.first else { continue }
      isFirstByte[Int(first)] = true
      var node = 0
      for byte in pattern {
        let key = UInt64(node) << 8 | UInt64(byte)
        if let child = children[key] {
          node = child
        } else {
          tokenAtNode.append(-1)
          node = tokenAtNode.count - 1
          children[key] = node
        }
      }
      if tokenAtNode[node] < 0 { tokenAtNode[node] = index }
    }
  }

  var isEmpty: Bool { children.isEmpty }

  /// Calls `onText` with each span between added tokens and `onToken` with each token, in the order of the text, and
  /// their byte ranges.
  ///
  /// - Parameter input: the ascending byte ranges in which special tokens are text like any other.
  func split(
    _ text: Bytes, input: [Range<Int>] = [], onText: (Bytes, Range<Int>) throws -> Void,
    onToken: (TokenID, Range<Int>) -> Void
  ) rethrows {
    var textStart = 0
    var position = 0
    var input = input[...]
    while !isEmpty, let (token, matchStart, matchEnd) = nextMatch(in: text, from: position) {
      while let first = input.first, first.upperBound <= matchStart { input.removeFirst() }
      if token.isSpecial, let first = input.first, first.lowerBound < matchEnd {
        // Another token may begin inside of this one.
        position = matchStart + 1
        continue
      }
      position = matchEnd
      if token.isSingleWord, touchesWord(text, matchStart, matchEnd) { continue }
      let start = token.stripsLeft ? Self.trimmedEnd(of: text, before: matchStart) : matchStart
      if textStart < start { try onText(Bytes(rebasing: text[textStart..<start]), textStart..<start) }
      textStart = token.stripsRight ? Self.trimmedStart(of: text, after: matchEnd) : matchEnd
      onToken(token.id, start..<textStart)
    }
    if textStart < text.count { try onText(Bytes(rebasing: text[textStart...]), textStart..<text.count) }
  }

  private func nextMatch(in text: Bytes, from start: Int) -> (token: AddedToken, start: Int, end: Int)? {
    var position = start
    while true {
      while position < text.count, !isFirstByte[Int(text[position])] { position += 1 }
      guard position < text.count else { return nil }
      var node = 0
      var end = position
      var found: (token: Int, end: Int)?
      while end < text.count, let child = children[UInt64(node) << 8 | UInt64(text[end])] {
        node = child
        end += 1
        if tokenAtNode[node] >= 0 { found = (tokenAtNode[node], end) }
      }
      if let found { return (tokens[found.token], position, found.end) }
      position += 1
    }
  }

  private func touchesWord(_ text: Bytes, _ start: Int, _ end: Int) -> Bool {
    (start > 0 && Self.isWord(UTF8Text.scalar(in: text, endingAt: start).value))
      || (end < text.count && Self.isWord(UTF8Text.scalar(in: text, at: end).value))
  }

  private static func trimmedEnd(of text: Bytes, before end: Int) -> Int {
    var end = end
    while end > 0 {
      let (value, length) = UTF8Text.scalar(in: text, endingAt: end)
      guard isWhiteSpace(value) else { break }
      end -= length
    }
    return end
  }

  private static func trimmedStart(of text: Bytes, after start: Int) -> Int {
    var start = start
    while start < text.count {
      let (value, length) = UTF8Text.scalar(in: text, at: start)
      guard isWhiteSpace(value) else { break }
      start += length
    }
    return start
  }

  private static func isWhiteSpace(_ value: UInt32) -> Bool {
    Unicode.Scalar(value)?.properties.isWhitespace ?? false
  }

  /// A word character in the sense of Unicode Technical Standard 18.
  private static func isWord(_ value: UInt32) -> Bool {
    guard let properties = Unicode.Scalar(value)?.properties else { return false }
    if properties.isAlphabetic || properties.isJoinControl { return true }
    return switch properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: true
    default: false
    }
  }
}
