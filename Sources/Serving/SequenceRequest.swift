import WidebandCheckedInput
import WidebandDecoding
import WidebandStructuredOutput

/// One sequence to generate: a prompt and how it is continued.
public struct SequenceRequest: Sendable {
  /// The prompt, at least one token.
  public var prompt: [TokenID]
  /// The maximum number of tokens to generate; 0 reads the prompt only.
  public var maximumTokens: Int
  /// Temperature, top-k, top-p, min-p and repetition penalty.
  public var sampling = SamplingOptions()
  /// The same seed gives the same tokens, whatever else the engine computes, with the fused kernels of the CPU and weights
  /// in float32, bfloat16, int8 or int4; elsewhere rounding depends on what is computed together.
  public var seed: UInt64
  /// Subtracted once from the logits of tokens that were generated before.
  public var presencePenalty = 0.0
  /// Subtracted from the logits of generated tokens as often as they were generated.
  public var frequencyPenalty = 0.0
  /// Added to the logits of tokens.
  public var logitBias: [TokenID: Double] = [:]
  /// What the text has to be, from its first byte; an end token may follow a whole document only.
  public var grammar: JSONGrammar?
  /// The number of most probable tokens to report with each token, in addition to the token itself; nil for none.
  public var logprobCount: Int?
  /// Whether log-probabilities of the prompt's tokens are reported as well.
  public var reportsPrompt = false
  /// Tokens that end the sequence. The text of one is not part of it.
  public var endTokens: Set<TokenID> = []
  /// The number of tokens before which no end token is sampled. A document of a grammar that nothing can follow, and a
  /// stop string, end the sequence before.
  public var minimumTokens = 0
  /// Texts that end the sequence, and are not part of it.
  public var stopStrings: [String] = []

  /// A request with the model's own distribution.
  public init(prompt: [TokenID], maximumTokens: Int, seed: UInt64) {
    (self.prompt, self.maximumTokens, self.seed) = (prompt, maximumTokens, seed)
  }
}

/// A token with the logarithm of its probability in the model's own distribution, before any sampling option.
public struct TokenLogprob: Sendable, Hashable {
  /// The token.
  public let token: TokenID
  /// The natural logarithm of its probability; nil for a prompt's first token, which follows nothing.
  public let logprob: Double?
  /// The most probable tokens at its position, most probable first.
  public let alternatives: [Alternative]

  /// Another token at the position.
  public struct Alternative: Sendable, Hashable {
    /// The token.
    public let token: TokenID
    /// The natural logarithm of its probability.
    public let logprob: Double
  }
}

/// What happens to a sequence, in order: `started` once, any number of `text`, `finished` once.
public enum SequenceEvent: Sendable {
  /// The prompt has been processed.
  ///
  /// - Parameters:
  ///   - cachedTokens: the number of tokens at its start that were taken from the prefix cache.
  ///   - logprobs: one for each token, if the request asks for them.
  case started(cachedTokens: Int, logprobs: [TokenLogprob])
  /// Further text, in whole characters and beyond any possible beginning of a stop string; `tokens` are those since
  /// the last event, with `logprobs` for each if the request asks for them.
  case text(String, tokens: [TokenID], logprobs: [TokenLogprob])
  /// The sequence has ended.
  case finished(FinishedSequence)
}

/// How a sequence ended.
public struct FinishedSequence: Sendable {
  /// Why a sequence ended.
  public enum Reason: Sendable, Hashable {
    /// An end token, or a stop string.
    case stop(String?)
    /// The maximum number of tokens, or the end of the context.
    case length
  }

  /// Why it ended.
  public let reason: Reason
  /// Tokens of the prompt.
  public let promptTokens: Int
  /// Tokens that were generated, an end token included.
  public let generatedTokens: Int
  /// Seconds from the request's arrival until the engine began with it, until the first token, and until the end.
  public let queuedSeconds, firstTokenSeconds, totalSeconds: Double
}

/// Why the engine takes no request, or does not finish one.
public enum ServingError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The queue is full; the number of requests in it.
  case queueFull(Int)
  /// The engine is shutting down.
  case stopping
  /// The prompt does not fit.
  case contextExceeded(promptTokens: Int, maximumTokens: Int, context: Int)
  /// The request is invalid; the sentence.
  case invalid(String)
  /// The computation failed; the sentence.
  case failed(String)

  /// One sentence.
  public var description: String {
    switch self {
    case .queueFull(let count): "\(count) requests are waiting, as many as the queue holds: try again later"
    case .stopping: "the server is shutting down"
    case .contextExceeded(let prompt, let maximum, let context):
      "the prompt has \(prompt) tokens and the request asks for up to \(maximum) more: expected at most \(context) in "
        + "all, the context of this server"
    case .invalid(let sentence), .failed(let sentence): sentence
    }
  }
}
