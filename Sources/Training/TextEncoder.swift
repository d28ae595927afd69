/// A tokenizer as far as data preparation and training need one.
public protocol TextEncoder: Sendable {
  /// V: the number of token ids, 0 to V-1.
  var vocabularySize: Int { get }
  /// A text that two tokenizers share only if they encode alike.
  var fingerprint: String { get }
  /// The id that stands after the last token of every document.
  var endOfText: Int32 { get }
  /// The id that ends an answer; nil if there are no conversations for this tokenizer.
  var endOfAnswer: Int32? { get }
  /// The token ids of UTF-8 text. Called from several threads at once.
  func encode(bytes: [UInt8]) throws -> [Int32]
  /// The tokens of a conversation that is the JSON of a line of chat data. Called from several threads at once.
  ///
  /// - Throws: an error whose description begins with `file` and the line.
  func encode(conversation json: [UInt8], file: String, line: Int) throws -> EncodedDocument
  /// The bytes of text that each token id stands for, `[V]`; 0 for special tokens.
  func byteLengths() -> [Int]
}

/// A document as tokens.
public struct EncodedDocument: Sendable {
  /// The ids, with all that ends the document.
  public let tokens: [Int32]
  /// Bytes of text that they stand for.
  public let byteCount: Int
  /// The tokens of each answer; nil for text, all of which is to be learned.
  public let answers: [Range<Int>]?

  /// A document; `answers` must rise and not meet, and none may begin at 0.
  public init(tokens: [Int32], byteCount: Int, answers: [Range<Int>]? = nil) {
    self.tokens = tokens
    self.byteCount = byteCount
    self.answers = answers
  }
}
