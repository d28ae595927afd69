import WidebandCheckedInput

/// Decodes ids one at a time and returns text only in whole characters.
///
/// ```swift
/// var decoder = StreamDecoder(tokenizer)
/// for id in ids { print(try decoder.append(id), terminator: "") }
/// print(decoder.finish())
/// ```
///
/// The results of `append` and `finish`, joined, equal ``Tokenizer/decode(_:skipSpecialTokens:)`` of all ids.
public struct StreamDecoder: Sendable {
  private let tokenizer: Tokenizer
  private let skipSpecialTokens: Bool
  private var pending: [UInt8] = []

  /// A decoder in its initial state.
  public init(_ tokenizer: Tokenizer, skipSpecialTokens: Bool = false) {
    self.tokenizer = tokenizer
    self.skipSpecialTokens = skipSpecialTokens
  }

  /// The text that `id` completes; empty while a character is still incomplete.
  ///
  /// - Throws: ``TokenizationError`` if no token has this id; the decoder is unchanged then.
  public mutating func append(_ id: TokenID) throws -> String {
    try tokenizer.tokenBytes.append(id, skipSpecialTokens: skipSpecialTokens, to: &pending)
    let complete = pending.withUnsafeBufferPointer { $0.count - UTF8Text.incompleteSuffix(of: $0) }
    defer { pending.removeFirst(complete) }
    return String(decoding: pending[..<complete], as: UTF8.self)
  }

  /// The rest of an incomplete character, as U+FFFD; resets the decoder.
  public mutating func finish() -> String {
    defer { pending.removeAll() }
    return String(decoding: pending, as: UTF8.self)
  }
}
