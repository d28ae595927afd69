import WidebandCheckedInput

/// An error of loading, using or training a tokenizer, with its sentence: the subject, the value found and the value
/// expected.
public enum TokenizationError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A file of a tokenizer does not exist or cannot be read.
  case unreadable(String)
  /// A tokenizer, a pattern or a conversation is malformed, or uses something that is not supported.
  case malformed(String)
  /// No token has the given id, or the tokenizer lacks a required token.
  case unknownToken(String)
  /// Matching a pattern against a text takes too many steps.
  case patternFailed(String)
  /// The settings of training are not valid, or the corpus is empty.
  case invalidTraining(String)

  /// The sentence.
  public var description: String {
    switch self {
    case .unreadable(let sentence), .malformed(let sentence), .unknownToken(let sentence),
      .patternFailed(let sentence), .invalidTraining(let sentence):
      sentence
    }
  }

  /// Runs `body` and converts an ``InputError`` to an error of this type with the same sentence.
  static func converting<Value>(
    to error: (String) -> TokenizationError = Self.malformed, _ body: () throws -> Value
  ) throws -> Value {
    do { return try body() } catch let failure as InputError { throw error(failure.description) }
  }
}

/// A view of bytes that the caller owns for the duration of a call.
typealias Bytes = UnsafeBufferPointer<UInt8>
