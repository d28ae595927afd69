/// What to generate and when to stop.
public struct GenerationOptions: Hashable, Sendable {
  /// How each token is chosen.
  public var sampling = SamplingOptions()
  /// Where the random choices start; nil takes a new seed, which the result names.
  public var seed: UInt64?
  /// Tokens to generate at most.
  public var maximumTokens = 256
  /// Texts that end the generation; neither they nor what follows them is given out.
  public var stopStrings: [String] = []
  /// Tokens of a cycle, to decode directly with the model's layer split; nil for ordinary decoding.
  public var cycle: Int?
  /// What proposes tokens for the model to verify, several in one pass, which changes the speed and not the text; nil
  /// for none. A greedy text is the very same, a drawn one has the same distribution.
  public var drafter: Drafter?
  /// Whether keys and values are kept; without them every token computes the whole text anew, with the same result.
  public var usesCache = true
  /// How keys and values are kept; nil for the form that suits the model's weights.
  public var keyValueForm: KeyValueCache.Form?

  /// Up to 256 tokens from the model's own distribution.
  public init() {}

  /// Fails if an option has a value that means nothing.
  ///
  /// - Throws: `GenerationError` naming the option, its value and what was expected.
  public func validate() throws {
    try sampling.validate()
    try require("max tokens", maximumTokens, maximumTokens >= 1, "at least 1")
    _ = try StopStrings(stopStrings)
    if drafter == .prediction, let cycle {
      throw GenerationError("cycle is \(cycle): expected none where multi-token prediction drafts")
    }
    if drafter != nil, !usesCache { throw GenerationError("drafts need the cache: expected both, or neither") }
  }
}

/// What was generated, why it ended, and how long it took.
public struct GenerationResult: Sendable {
  /// Why a generation ended.
  public enum FinishReason: Hashable, Sendable, CustomStringConvertible {
    /// The model chose a token that ends a text.
    case endOfText
    /// As many tokens were generated as were asked for.
    case maximumTokens
    /// Prompt and generated tokens fill the model's context.
    case contextLength
    /// This stop string came up.
    case stopString(String)

    /// A few words for people.
    public var description: String {
      switch self {
      case .endOfText: "end of text"
      case .maximumTokens: "maximum tokens"
      case .contextLength: "context length"
      case .stopString(let text): "stop string \(text.debugDescription)"
      }
    }
  }

  /// The generated text, as it was given out.
  public internal(set) var text = ""
  /// The generated tokens, without one that ends the text, with those of a stop string.
  public internal(set) var tokens: [Int] = []
  /// Why the generation ended.
  public internal(set) var finishReason = FinishReason.maximumTokens
  /// Tokens of the prompt, or 1 where an empty one was replaced by the start of a text.
  public internal(set) var promptTokenCount = 0
  /// Tokens at the start of the prompt that a session had read before.
  public internal(set) var reusedTokenCount = 0
  /// What the random choices started from.
  public internal(set) var seed: UInt64
  /// Seconds from the prompt to the choice of the first token.
  public internal(set) var prefillSeconds = 0.0
  /// Seconds from the first token to the last.
  public internal(set) var decodingSeconds = 0.0
  /// Tokens chosen after the first, one that ends the text included.
  public internal(set) var decodedTokenCount = 0

  /// How drafts fared; nil where nothing was drafted.
  public internal(set) var drafts: DraftCounts?

  /// Tokens that one second of decoding gives; nil where there was only the first token.
  public var tokensPerSecond: Double? {
    decodedTokenCount > 0 && decodingSeconds > 0 ? Double(decodedTokenCount) / decodingSeconds : nil
  }
}
