import WidebandTorch

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
  public func begin(_ prompt: [Int], sampler: Sampler, check: () throws -> Void = {}) throws -> [Int] {
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
  public func next() throws -> [Int] {
    guard let sequence else {
      throw GenerationError.invalidCall("the iterator has no prompt: expected begin before next")
    }
    let token: Int
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
