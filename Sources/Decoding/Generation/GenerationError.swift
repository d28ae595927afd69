import WidebandCheckedInput

/// An error of loading a model, of generating text with it, or of comparing it with expected outputs.
///
/// The description is one sentence that names the thing, its value and what was expected.
public enum GenerationError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A file or folder has content that cannot be used.
  case invalidFile(String)
  /// An option has an invalid value, or contradicts another one or the model.
  case invalidOption(String)
  /// The arguments of a call contradict each other.
  case invalidCall(String)
  /// There are no tokens to process.
  case emptyInput(String)
  /// A token is not in the vocabulary.
  case unknownToken(TokenID, position: Int, vocabularySize: Int)
  /// A prompt leaves no position of the context for a generated token.
  case promptTooLong(tokenCount: Int, contextLength: Int)
  /// There are more tokens than the context holds.
  case contextExceeded(tokenCount: Int, contextLength: Int)
  /// The model's logits after some tokens are NaN or infinite.
  case nonFiniteLogits(tokenCount: Int)
  /// A sequence of a batch, counted from 0, has an error.
  indirect case sequence(Int, count: Int, GenerationError)

  /// One sentence.
  public var description: String {
    switch self {
    case .invalidFile(let sentence), .invalidOption(let sentence), .invalidCall(let sentence),
      .emptyInput(let sentence):
      sentence
    case .unknownToken(let token, let position, let vocabularySize):
      "token id \(token) at position \(position): "
        + "expected 0 to \(vocabularySize - 1), as vocab_size is \(vocabularySize)"
    case .promptTooLong(let tokenCount, let contextLength):
      "the prompt has \(tokenCount) tokens: expected at most \(contextLength - 1), "
        + "as the model's context holds \(contextLength) (max_position_embeddings)"
    case .contextExceeded(let tokenCount, let contextLength):
      "\(tokenCount) tokens exceed the model's context, which holds \(contextLength) (max_position_embeddings)"
    case .nonFiniteLogits(let tokenCount):
      "the logits after \(tokenCount) tokens are not finite: the model's weights are broken"
    case .sequence(let index, let count, let error): "sequence \(index + 1) of \(count): \(error)"
    }
  }
}
