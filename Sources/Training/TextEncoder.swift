/// A tokenizer as far as data preparation and training need one.
public protocol TextEncoder: Sendable {
  /// V: the number of token ids, 0 to V-1.
  var vocabularySize: Int { get }
  /// A text that two tokenizers share only if they encode alike.
  var fingerprint: String { get }
  /// The id that stands behind the last token of every document.
  var endOfText: Int32 { get }
  /// The token ids of UTF-8 text. Called from several threads at once.
  func encode(bytes: [UInt8]) throws -> [Int32]
  /// The bytes of text that each token id stands for, `[V]`; 0 for special tokens.
  func byteLengths() -> [Int]
}
