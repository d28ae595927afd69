import WidebandDecoding

/// How an engine serves a model.
public struct ServingOptions: Sendable {
  /// Sequences that are decoded at the same time, up to ``maximumParallel``. Each has key/value memory of its own.
  public var parallel = 4
  /// Positions of a sequence, prompt and continuation; nil for the model's context, at most 4096.
  public var context: Int?
  /// Requests that may wait for a place.
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
  public var prefixCacheBytes = 1 << 30

  /// More sequences than this would take a kernel call each.
  public static let maximumParallel = 16

  /// The defaults.
  public init() {}
}

/// The engine's counters, and what it does now.
public struct ServingStatistics: Sendable {
  /// Sequences that wait for a place, whose prompt is being processed, and that are being decoded.
  public var waiting = 0, prefilling = 0, running = 0
  /// Running sequences at each phase of their cycle; the first entry is the cycle's head.
  public var phases: [Int] = []
  /// Positions of key/value memory in use, and in all.
  public var cachePositions = 0, cacheCapacity = 0
  /// Bytes of the prefix cache in use.
  public var prefixCacheBytes = 0
  /// Tokens of prompts looked up in the prefix cache and found there, in all.
  public var prefixQueriedTokens = 0, prefixHitTokens = 0
  /// Tokens of prompts processed and tokens generated, in all.
  public var promptTokens = 0, generatedTokens = 0
  /// Decoding steps, the sequences in them, and steps that a sequence waited for the others' cycle head, in all.
  public var decodeSteps = 0, decodedSequences = 0, alignmentSteps = 0
  /// Tokens that were drafted, and those of them that were accepted, in all.
  public var draftedTokens = 0, acceptedTokens = 0
  /// Sequences that ended, by reason, in all.
  public var stopped = 0, reachedLength = 0, cancelled = 0, failed = 0
  /// Seconds of computing in prompts and in decoding steps, in all.
  public var prefillSeconds = 0.0, decodeSeconds = 0.0

  /// Nothing so far.
  public init() {}
}
