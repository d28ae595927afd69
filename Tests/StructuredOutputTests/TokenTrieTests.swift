import Foundation
import TestSupport
import Testing
import WidebandCheckedInput
import WidebandTokenization

@testable import WidebandStructuredOutput

@Suite("Masks of tokens")
struct TokenTrieTests {
  /// The bytes of a small vocabulary trained on text, with special tokens.
  private static func vocabulary() throws -> [[UInt8]?] {
    let tokenizer = try Tokenizer(contentsOf: Fixtures.url("tokenizers/qwen/tokenizer.json"))
    let special = Set(tokenizer.addedTokens.map(\.id))
    return (0..<TokenID(tokenizer.vocabularySize)).map { special.contains($0) ? nil : tokenizer.idToToken($0) }
  }

  private func allowed(_ trie: TokenTrie, _ state: JSONGrammar.State) -> [Bool] {
    var mask: [Bool] = []
    trie.allowed(by: state, into: &mask)
    return mask
  }

  @Test("a mask has the tokens whose bytes the state accepts, at every byte of a text")
  func mask_equalsAcceptance() throws {
    let vocabulary = try Self.vocabulary()
    let trie = TokenTrie(vocabulary)
    for (schema, text) in [
      ("{}", #"{"name": ["a\n", 12.5, true], "b": null}"#), (#"{"enum": ["the", "then", " a"]}"#, #""then""#),
      (#"{"pattern": "^[a-f ]{2,9}$"}"#, #""abc de""#),
      (
        #"{"properties": {"a": {"maxLength": 3}, "the": {"type": "integer", "minimum": 5}}}"#,
        #"{"a": "xyz", "the": 17}"#
      ),
    ] {
      var state = try compiled(schema).start()
      for byte in text.utf8 {
        let expected = vocabulary.map { token in
          guard let token, !token.isEmpty else { return false }
          var copy = state
          return copy.accept(token)
        }
        #expect(allowed(trie, state) == expected)
        state = try #require(state.after([byte]))
      }
      #expect(state.isComplete)
    }
  }

  @Test("some token is allowed until a document is complete", arguments: SchemaCase.all)
  func walkByTokens_ends(_ test: SchemaCase) throws {
    let vocabulary = try Self.vocabulary()
    let trie = TokenTrie(vocabulary)
    let grammar = try JSONGrammar(schema: test.schema)
    var generator = SeededGenerator(state: 1)
    var state = grammar.start()
    var text: [UInt8] = []
    while !state.isComplete, text.count < 2000 {
      let mask = allowed(trie, state)
      let ids = mask.indices.filter { mask[$0] }.shuffled(using: &generator)
      let closing = ids.prefix(40).first { vocabulary[$0]?.contains { [0x22, 0x5D, 0x7D].contains($0) } ?? false }
      let id = try #require(closing ?? ids.first, "nothing may follow \(String(decoding: text, as: UTF8.self))")
      let token = try #require(vocabulary[id])
      state = try #require(state.after(token))
      text += token
    }
    if state.isComplete { _ = try JSONValue(parsing: text, file: "document") }
  }

  @Test("tokens with equal bytes, of no bytes and of special meaning")
  func unusualTokens() {
    let trie = TokenTrie([nil, Array("{".utf8), [], Array("{".utf8), Array("{\"".utf8), Array("{}x".utf8), [0xFF]])
    #expect(trie.vocabularySize == 7)
    #expect(allowed(trie, JSONGrammar.anyObject.start()) == [false, true, false, true, true, false, false])
  }

  @Test("a mask with more elements than the vocabulary keeps them, as false")
  func paddedMask_keepsSize() {
    var mask = [Bool](repeating: true, count: 5)
    TokenTrie([Array("{".utf8), Array("x".utf8)]).allowed(by: JSONGrammar.anyObject.start(), into: &mask)
    #expect(mask == [true, false, false, false, false])
  }

  @Test("a vocabulary without tokens")
  func emptyVocabulary() {
    #expect(allowed(TokenTrie([]), JSONGrammar.anyObject.start()) == [])
    #expect(allowed(TokenTrie([nil]), JSONGrammar.anyObject.start()) == [false])
  }

  @Test("masks are those of the vocabulary that is asked, after another was")
  func masks_areOfTheirVocabulary() {
    let state = JSONGrammar.anyObject.start()
    let first = TokenTrie([Array("{".utf8), Array("x".utf8)])
    let second = TokenTrie([Array("x".utf8), Array("{".utf8)])
    for _ in 0..<2 {
      #expect(allowed(first, state) == [true, false])
      #expect(allowed(second, state) == [false, true])
    }
  }

  @Test("more states than are kept give the same masks")
  func fullCache_givesSameMasks() throws {
    let trie = TokenTrie(try Self.vocabulary())
    var state = try compiled(#"{"type": "string", "maxLength": 2000}"#).start()
    state = try #require(state.after("\"".utf8))
    let expected = allowed(trie, state)
    // Far from the maximum every position allows the same tokens, but is a state of its own.
    for length in 0..<1300 {
      if length % 10 == 0 { #expect(allowed(trie, state) == expected) }
      state = try #require(state.after("a".utf8))
    }
  }

  @Test("a mask of a hostile pattern has all single bytes, and no token that is not accepted")
  func maskWork_isLimited() throws {
    let vocabulary = try Self.vocabulary()
    var state = try compiled(#"{"pattern": "^([a-z ]{0,1000}[a-e]{0,100}){0,1000}$"}"#).start()
    state = try #require(state.after("\"abcde".utf8))
    let mask = allowed(TokenTrie(vocabulary), state)
    for (token, isAllowed) in zip(vocabulary, mask) {
      guard let token, isAllowed || token.count == 1 else { continue }
      #expect((state.after(token) != nil) == isAllowed)
    }
  }

  @Test("threads may use one grammar")
  func threads_shareGrammar() async throws {
    let trie = TokenTrie(try Self.vocabulary())
    let grammar = try compiled("{}")
    let texts = ["[1, ", "{\"a\": \"b", "\"x", "[[[", "-1", "tr"]
    let expected = try texts.map { text in
      var state = try JSONGrammar(schema: .boolean(true)).start()
      state = try #require(state.after(text.utf8))
      return allowed(trie, state)
    }
    await withTaskGroup(of: Bool.self) { group in
      for round in 0..<24 {
        group.addTask {
          var state = grammar.start()
          return state.accept(texts[round % 6].utf8) && allowed(trie, state) == expected[round % 6]
        }
      }
      for await isEqual in group { #expect(isEqual) }
    }
  }
}
