import WidebandCheckedInput
import WidebandTokenization

extension Tokenizer: TextEncoder {
  /// Names of tokens that end a text, in order of preference.
  private static let endOfTextNames = ["<|endoftext|>", "<|end_of_text|>", "</s>", "<|im_end|>"]

  /// The id of the first of several common names for the end of a text.
  ///
  /// - Throws: ``DataError`` if the tokenizer has none of them.
  public var endOfText: TokenID {
    get throws {
      let names = Self.endOfTextNames
      guard let end = names.lazy.compactMap({ self.tokenToID($0) }).first else {
        throw DataError.invalidArgument(
          "the tokenizer has no token that ends a text: expected one of \(names.joined(separator: ", "))")
      }
      return end
    }
  }

  /// The id of the end-of-turn token; nil if the tokenizer has none.
  public var endOfAnswer: TokenID? { try? endOfTurn }

  /// The ids of a document; added tokens in the text are encoded like any other text.
  public func encode(document: [UInt8]) throws -> [TokenID] { try encode(bytes: document, parsingAddedTokens: false) }

  /// The tokens of a conversation in the tokenizer's chat template.
  public func encode(conversation json: [UInt8], file: String, line: Int) throws -> EncodedDocument {
    let encoded = try encode(try Conversation(json: json, file: file, line: line))
    return EncodedDocument(tokens: encoded.tokens, byteCount: encoded.byteCount, answers: encoded.answers)
  }

  /// The length in bytes of each token's text, `[V]`; 0 for special tokens and for ids without a token.
  public var byteLengths: [Int] {
    let special = Set(addedTokens.filter(\.isSpecial).map(\.id))
    return (0..<TokenID(clamping: vocabularySize)).map { special.contains($0) ? 0 : idToToken($0)?.count ?? 0 }
  }
}
