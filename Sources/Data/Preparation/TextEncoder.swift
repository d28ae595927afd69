import WidebandCheckedInput

/// The requirements of data preparation on a tokenizer; `Tokenizer` conforms.
public protocol TextEncoder: Sendable {
  /// V: the number of token ids, 0 to V-1.
  var vocabularySize: Int { get }
  /// A string that two tokenizers share only if they encode all text to the same ids.
  var fingerprint: String { get }
  /// The id after the last token of every document.
  ///
  /// - Throws: an error if the tokenizer has no such token.
  var endOfText: TokenID { get throws }
  /// The id that ends an answer; nil if the tokenizer does not support conversations.
  var endOfAnswer: TokenID? { get }
  /// The token ids of UTF-8 text without special tokens. Called from several threads at once.
  func encode(document: [UInt8]) throws -> [TokenID]
  /// The tokens of a conversation, given as the JSON of a line of chat data. Called from several threads at once.
  ///
  /// - Throws: an error whose description begins with `file` and the line.
  func encode(conversation json: [UInt8], file: String, line: Int) throws -> EncodedDocument
  /// The length in bytes of each token's text, `[V]`; 0 for special tokens.
  var byteLengths: [Int] { get }
}

/// A document as tokens.
public struct EncodedDocument: Sendable {
  /// The ids, including the end of text or of the last answer.
  public let tokens: [TokenID]
  /// The length of the text in bytes.
  public let byteCount: Int
  /// The range of each answer's tokens; nil for text, where all tokens are targets.
  public let answers: [Range<Int>]?

  /// A document; `answers` must be in order and disjoint, and none may begin at 0.
  public init(tokens: [TokenID], byteCount: Int, answers: [Range<Int>]? = nil) {
    self.tokens = tokens
    self.byteCount = byteCount
    self.answers = answers
  }
}
