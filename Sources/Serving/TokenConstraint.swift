import WidebandCheckedInput
import WidebandStructuredOutput
import WidebandTokenization

/// Which tokens may follow the text of a sequence with a grammar.
struct TokenConstraint {
  private var state: JSONGrammar.State
  private let tokens: TokenTrie
  private let tokenizer: Tokenizer
  private let endTokens: Set<TokenID>

  init(_ grammar: JSONGrammar, _ tokens: TokenTrie, _ tokenizer: Tokenizer, endTokens: Set<TokenID>) {
    state = grammar.start()
    (self.tokens, self.tokenizer, self.endTokens) = (tokens, tokenizer, endTokens)
  }

  /// The bytes of every token that may be part of a document: all but special ones.
  static func vocabulary(of tokenizer: Tokenizer) -> TokenTrie {
    let special = Set(tokenizer.addedTokens.filter(\.isSpecial).map(\.id))
    return TokenTrie(
      (0..<TokenID(clamping: tokenizer.vocabularySize)).map { special.contains($0) ? nil : tokenizer.idToToken($0) })
  }

  /// Which of `count` tokens may follow; nil if the document is whole and nothing may.
  ///
  /// - Parameter orEnd: whether an end token may follow a whole document.
  /// - Throws: ``ServingError/failed(_:)`` if the vocabulary has no token for what the grammar asks for.
  func allowed(of count: Int, orEnd: Bool) throws -> [Bool]? {
    var mask: [Bool] = []
    tokens.allowed(by: state, into: &mask)
    mask = Array(mask.prefix(count)) + Array(repeating: false, count: max(0, count - mask.count))
    if orEnd, state.isComplete {
      for token in endTokens where Int(token) < count { mask[Int(token)] = true }
    }
    if mask.contains(true) { return mask }
    guard state.isComplete else { throw ServingError.failed("no token of the vocabulary continues the JSON document") }
    return nil
  }

  mutating func accept(_ token: TokenID) { _ = state.accept(tokenizer.idToToken(token) ?? []) }
}
