import WidebandDecoding

/// How an engine serves a model.
public struct ServingOptions: Sendable {
  /// Sequences that are decoded at the same time, up to ``maximumParallel``. Each has key/value memory of its own.
  public var parallel = 4
  /// Positions of a sequence, prompt and continuation; nil for the model's context, at most 4096.
  public var context: Int?
  /// Requests that may wait for a place while there is none. Those of which a sequence has begun do not count.
  public var queue = 64
  /// Tokens of a cycle of direct decoding; nil for ordinary decoding. With direct drafts, one more than the maximum of
  /// a proposal; nil for the cycle that the model was tuned for.
  public var cycle: Int?
  /// How tokens are drafted for a sequence that is decoded alone; nil for no drafts. With and without drafts a sequence
  /// has the same tokens, with direct drafts those of cycles of one token.
  public var draftMethod: DraftMethod?
  /// How keys and values are stored; nil for the format that suits the model's weights.
  public var cacheFormat: KVCacheFormat?
  /// Bytes of keys and values of earlier prompts that are kept for prompts which begin alike.
  public var prefixCacheBytes = 1_000_000_000

  /// More sequences than this would take a kernel call each.
  public static let maximumParallel = 16

  /// The defaults.
  public init() {}
}

/// The engine's counters, and what it does now.
public struct ServingStatistics: Sendable {
  /// Sequences that wait for a place.
  public var waiting = 0
  /// Sequences whose prompt is being processed.
  public var prefilling = 0
  /// Sequences that are being decoded.
  public var running = 0
  /// Running sequences at each phase of their cycle; the first entry is the cycle's head.
  public var phases: [Int] = []
  /// Positions of key/value memory in use.
  public var cachePositions = 0
  /// Positions of key/value memory that sequences may use at most.
  public var cacheCapacity = 0
  /// Bytes of the prefix cache in use.
  public var prefixCacheBytes = 0
  /// Tokens of prompts looked up in the prefix cache, in all.
  public var prefixQueriedTokens = 0
  /// Tokens of prompts found in the prefix cache, in all.
  public var prefixHitTokens = 0
  /// Tokens of prompts processed, in all.
  public var promptTokens = 0
  /// Tokens generated, in all.
  public var generatedTokens = 0
  /// Decoding steps, in all.
  public var decodeSteps = 0
  /// Sequences in decoding steps, in all.
  public var decodedSequences = 0
  /// Steps that a sequence waited for the others' cycle head, in all.
  public var alignmentSteps = 0
  /// Tokens that were drafted, in all.
  public var draftedTokens = 0
  /// Drafted tokens that were accepted, in all.
  public var acceptedTokens = 0
  /// Sequences that ended with an end token or a stop string, in all.
  public var stopped = 0
  /// Sequences that ended with their maximum number of tokens, in all.
  public var reachedLength = 0
  /// Sequences that were cancelled, in all.
  public var cancelled = 0
  /// Sequences that failed, in all.
  public var failed = 0
  /// Seconds of computing in prompts, in all.
  public var prefillSeconds = 0.0
  /// Seconds of computing in decoding steps, in all.
  public var decodeSeconds = 0.0

  /// Nothing so far.
  public init() {}
}
