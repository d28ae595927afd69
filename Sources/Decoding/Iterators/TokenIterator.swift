import WidebandCheckedInput
import WidebandTorch

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
  func begin(_ prompt: [TokenID], sampler: Sampler, check: () throws -> Void) throws -> [TokenID]
  /// Samples what follows the tokens so far: at least one token.
  ///
  /// - Throws: as `DecodingSession.append` and `Sampler.next`.
  func next() throws -> [TokenID]
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
  public internal(set) var last: TokenID

  /// A sequence whose session has processed everything before `last`.
  public init(id: Int, session: DecodingSession, sampler: Sampler, last: TokenID) {
    (self.id, self.session, self.sampler, self.last) = (id, session, sampler, last)
  }
}

/// Generates one token of one sequence a step.
public final class SingleTokenIterator: TokenIterator {
  private let session: DecodingSession
  private let allowedTokens: AllowedTokens?
  private let runAhead: RunAheadDecoder?
  private var sequence: ActiveSequence?
  /// Tokens at the start of the prompt that the session had processed before.
  public private(set) var reusedTokenCount = 0

  /// Continues a session: a prompt's common prefix with its tokens is not processed again, and its tokens beyond that
  /// are removed.
  public convenience init(_ session: DecodingSession) { self.init(session, allowedTokens: nil) }

  /// - Parameter allowedTokens: the tokens that may be sampled; nil for all.
  convenience init(_ session: DecodingSession, allowedTokens: AllowedTokens?) {
    let runAhead = RunAheadDecoder.make(for: session.model, allowedTokens: allowedTokens)
    self.init(session, allowedTokens: allowedTokens, runAhead: runAhead)
  }

  /// - Parameter runAhead: takes steps before the tokens of earlier ones are known; nil for one step after the other.
  init(_ session: DecodingSession, allowedTokens: AllowedTokens?, runAhead: RunAheadDecoder?) {
    (self.session, self.allowedTokens, self.runAhead) = (session, allowedTokens, runAhead)
  }

  /// Nil: nothing is drafted.
  public var drafts: DraftCounts? { nil }

  /// Processes a prompt and samples one token; see `TokenIterator`.
  public func begin(_ prompt: [TokenID], sampler: Sampler, check: () throws -> Void = {}) throws -> [TokenID] {
    // The last token is always processed, for the logits of what follows it.
    reusedTokenCount = zip(session.tokens, prompt.dropLast()).prefix { $0 == $1 }.count
    session.truncate(to: reusedTokenCount)
    runAhead?.reset()
    let logits = try session.prefill(Array(prompt[reusedTokenCount...]), check: check)
    let token = try sampler.next(logits, among: allowedTokens, after: session.tokens)
    sequence = ActiveSequence(id: 0, session: session, sampler: sampler, last: token)
    return [token]
  }

  /// Samples one token; see `TokenIterator`.
  public func next() throws -> [TokenID] {
    guard let sequence else {
      throw GenerationError.invalidCall("the iterator has no prompt: expected begin before next")
    }
    let token: TokenID
    if let sampled = try runAhead?.next([sequence])?[0] {
      token = sampled
    } else {
      let logits = try DecodingSession.append([sequence.last], to: [session]).flattened()
      token = try sequence.sampler.next(logits, among: allowedTokens, after: session.tokens)
    }
    self.sequence?.last = token
    return [token]
  }
}
