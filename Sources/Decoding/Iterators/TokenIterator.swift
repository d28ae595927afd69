import WidebandLanguageModel

/// Generates the continuation of a prompt: each call of `next` runs the model once and gives one token, or several that
/// were drafted and verified.
///
///     let iterator = SingleTokenIterator(try DecodingSession(model))
///     var tokens = try iterator.begin([464, 3290], sampler: Sampler(.greedy, seed: 0)) {}
///     while tokens.count < 20 { tokens += try iterator.next() }
public protocol TokenIterator: AnyObject {
  /// Processes a prompt, in passes of limited length, and samples what follows it: at least one token.
  ///
  /// - Parameters:
  ///   - sampler: samples this token and all further ones.
  ///   - check: called before every pass; an error that it throws ends the call.
  /// - Throws: as `DecodingSession.prefill` and `Sampler.next`.
  func begin(_ prompt: [Int], sampler: Sampler, check: () throws -> Void) throws -> [Int]
  /// Samples what follows the tokens so far: at least one token.
  ///
  /// - Throws: as `DecodingSession.append` and `Sampler.next`.
  func next() throws -> [Int]
  /// Counts of accepted drafts; nil where nothing is drafted.
  var drafts: DraftCounts? { get }
  /// Tokens at the start of the prompt that had been processed before.
  var reusedTokenCount: Int { get }
}

/// A sequence that is being decoded.
public struct ActiveSequence {
  /// Identifies the sequence: another may take its session when it has ended.
  public let id: Int
  /// All tokens but the last one.
  public let session: DecodingSession
  /// Samples the tokens.
  public let sampler: Sampler
  /// The token sampled last, which the session has not processed yet.
  public internal(set) var last: Int

  /// A sequence whose session has processed everything before `last`.
  public init(id: Int, session: DecodingSession, sampler: Sampler, last: Int) {
    (self.id, self.session, self.sampler, self.last) = (id, session, sampler, last)
  }
}
