/// What to generate and when to stop.
public struct GenerationOptions: Hashable, Sendable {
  /// How each token is sampled.
  public var sampling = SamplingOptions()
  /// The seed of the random numbers; nil for a new one, which the result names.
  public var seed: UInt64?
  /// Maximum tokens to generate.
  public var maximumTokens = 256
  /// Strings that end the generation; the text before them is the result.
  public var stopStrings: [String] = []
  /// Tokens of a cycle, to decode directly with the model's layer split; nil for ordinary decoding.
  public var cycle: Int?
  /// How draft tokens are proposed, several of which the model verifies in one pass; nil for no drafts. Greedy tokens
  /// stay the same, and sampled tokens have the same distribution.
  public var draftMethod: DraftMethod?
  /// Whether keys and values are cached. Otherwise every token recomputes the whole sequence, with the same result.
  public var usesCache = true
  /// How keys and values are stored; nil for the format that suits the model's weights.
  public var cacheFormat: KVCacheFormat?

  /// Up to 256 tokens from the model's own distribution.
  public init() {}

  /// Checks that all options are valid.
  ///
  /// - Throws: `GenerationError` naming the option, its value and what was expected.
  public func validate() throws {
    try sampling.validate()
    guard maximumTokens >= 1 else {
      throw GenerationError.invalidOption("max tokens is \(maximumTokens): expected at least 1")
    }
    _ = try StopStrings(stopStrings)
    if draftMethod == .prediction, let cycle {
      throw GenerationError.invalidOption("cycle is \(cycle): expected none where multi-token prediction drafts")
    }
    if draftMethod != nil, !usesCache {
      throw GenerationError.invalidOption("drafts need the cache: expected both, or neither")
    }
  }
}
