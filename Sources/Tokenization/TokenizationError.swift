import CheckedInput

/// Why a tokenizer file, a token id, a corpus or a training request was refused.
///
/// The description is one sentence that names the thing, the value found and what was expected.
public struct TokenizationError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The sentence shown to the user.
  public let description: String

  init(_ description: String) {
    self.description = description
  }

  /// Runs `body`, whose errors of ``InputError`` become errors of this type with the same sentence.
  static func wrapping<Value>(_ body: () throws -> Value) throws -> Value {
    do { return try body() } catch let error as InputError { throw TokenizationError(error.description) }
  }
}

/// A view of bytes that somebody else owns for the duration of a call.
typealias Bytes = UnsafeBufferPointer<UInt8>
