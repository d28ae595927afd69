import WidebandCheckedInput

/// What was generated, why it ended, and how long it took.
public struct GenerationResult: Sendable {
  /// Why a generation ended.
  public enum FinishReason: Hashable, Sendable, CustomStringConvertible {
    /// The model sampled an end-of-text token.
    case endOfText
    /// The maximum of tokens was generated.
    case maximumTokens
    /// Prompt and generated tokens fill the model's context.
    case contextLength
    /// The text contains this stop string.
    case stopString(String)

    /// A few words for users.
    public var description: String {
      switch self {
      case .endOfText: "end of text"
      case .maximumTokens: "maximum tokens"
      case .contextLength: "context length"
      case .stopString(let text): "stop string \(text.debugDescription)"
      }
    }
  }

  /// The generated text.
  public internal(set) var text = ""
  /// The generated tokens, without an end-of-text token, with those of a stop string.
  public internal(set) var tokens: [TokenID] = []
  /// Why the generation ended.
  public internal(set) var finishReason = FinishReason.maximumTokens
  /// Tokens of the prompt, or 1 where a start token replaced an empty one.
  public internal(set) var promptTokenCount = 0
  /// Tokens at the start of the prompt that a session had processed before.
  public internal(set) var reusedTokenCount = 0
  /// The seed of the random numbers.
  public internal(set) var seed: UInt64
  /// Seconds from the prompt to the first token.
  public internal(set) var prefillSeconds = 0.0
  /// Seconds from the first token to the last.
  public internal(set) var decodingSeconds = 0.0
  /// Tokens sampled after the first, an end-of-text token included.
  public internal(set) var decodedTokenCount = 0

  /// Counts of accepted drafts; nil where nothing was drafted.
  public internal(set) var drafts: DraftCounts?

  /// Decoded tokens a second; nil where there was only the first token.
  public var tokensPerSecond: Double? {
    decodedTokenCount > 0 && decodingSeconds > 0 ? Double(decodedTokenCount) / decodingSeconds : nil
  }
}
