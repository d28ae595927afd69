import WidebandCheckedInput
import WidebandDecoding
import WidebandStructuredOutput
import WidebandTokenization
import WidebandTorch

/// A sequence that the engine's thread computes.
final class ServedSequence {
  let queued: QueuedSequence
  let memory: SequenceMemory
  /// The number of tokens of the prompt that were taken from the prefix cache.
  var cachedTokens = 0
  /// Where the prompt is in the prefix cache; nil where its next chunks have no place there.
  var prefix: PrefixCache.Position?
  /// Whether it has ended, or failed, in the step that is computed.
  var hasEnded = false
  /// The token sampled last, which the session has not processed yet.
  private(set) var last: TokenID = 0

  private let model: LoadedModel
  private let sampler: Sampler
  private let began = ContinuousClock.now
  private var firstToken: ContinuousClock.Instant?
  private var decoder: StreamDecoder
  private var stops: StopStrings
  private var promptLogprobs: [TokenLogprob] = []
  private var generatedCount = 0
  private var counts: [TokenID: Int] = [:]
  /// The text so far, where a grammar constrains it.
  private var constraint: TokenConstraint?
  /// Tokens whose text has not been given out.
  private var unsent: (tokens: [TokenID], logprobs: [TokenLogprob]) = ([], [])

  /// - Throws: `GenerationError` for an invalid sampling option or an empty stop string.
  ///
  /// - Parameter tokens: the vocabulary for a request with a grammar.
  init(
    _ queued: QueuedSequence, _ memory: SequenceMemory, _ model: LoadedModel, prefix: PrefixCache.Position,
    tokens: @autoclosure () -> TokenTrie
  ) throws {
    (self.queued, self.memory, self.model, self.prefix) = (queued, memory, model, prefix)
    sampler = try Sampler(queued.request.sampling, seed: queued.request.seed)
    decoder = StreamDecoder(model.tokenizer, skipSpecialTokens: true)
    stops = try StopStrings(queued.request.stopStrings)
    constraint = queued.request.grammar.map {
      TokenConstraint($0, tokens(), model.tokenizer, endTokens: queued.request.endTokens)
    }
  }

  /// All tokens but the last one.
  var session: DecodingSession { memory.session }
  private var request: SequenceRequest { queued.request }

  /// Keeps the log-probabilities of the prompt's tokens from logits `[T, V]` of a chunk at `range`.
  func report(_ logits: Tensor, of range: Range<Int>) throws {
    if range.lowerBound == 0 {
      promptLogprobs.append(TokenLogprob(token: request.prompt[0], logprob: nil, alternatives: []))
    }
    for (row, position) in range.enumerated() where position + 1 < request.prompt.count {
      let next = request.prompt[position + 1]
      promptLogprobs.append(try withTorch { try logprob(of: next, in: logits.select(0, row)) })
    }
  }

  /// Reports that the prompt has been processed.
  func start() { queued.continuation.yield(.started(cachedTokens: cachedTokens, logprobs: promptLogprobs)) }

  /// The most probable next tokens as a drafter sees them, up to `count`, and none that could not be generated.
  func drafts(upTo count: Int) throws -> [TokenID] {
    let rest = request.maximumTokens - generatedCount
    return try memory.drafter?.propose(min(count, rest - 1, memory.drafter?.limit ?? 0), after: last) { logits, _ in
      TokenID(clamping: try withTorch { try logits.argmax(0).elements(Int64.self)[0] })
    } ?? []
  }

  /// Samples a token from logits `[V]` and gives out the text that is certain. Returns the reason to end, if any.
  ///
  /// - Parameter count: the number of tokens before it; nil for all of the session.
  /// - Throws: as `Sampler.next` and `StreamDecoder.append`.
  func next(_ logits: Tensor, after count: Int? = nil) throws -> FinishedSequence.Reason? {
    guard request.maximumTokens > 0 else { return .length }
    guard let adjusted = try withTorch({ try self.adjusted(logits) }) else { return .stop(nil) }
    last = try model.sample(adjusted, with: sampler, after: Array(session.tokens.prefix(count ?? .max)))
    if firstToken == nil { firstToken = .now }
    generatedCount += 1
    counts[last, default: 0] += 1
    unsent.tokens.append(last)
    if request.logprobCount != nil { unsent.logprobs.append(try withTorch { try logprob(of: last, in: logits) }) }
    if request.endTokens.contains(last) { return .stop(nil) }
    constraint?.accept(last)
    let (text, stop) = stops.append(try decoder.append(last))
    send(text)
    if let stop { return .stop(stop) }
    return generatedCount >= request.maximumTokens ? .length : nil
  }

  /// Gives out the rest of the text, and ends the stream.
  func finish(_ reason: FinishedSequence.Reason) {
    var reason = reason
    if case .stop(.some) = reason {
    } else {
      let (text, stop) = stops.append(decoder.finish())
      send(text)
      if let stop { reason = .stop(stop) } else { send(stops.finish()) }
    }
    if !unsent.tokens.isEmpty { yield("") }
    let now = ContinuousClock.now
    queued.continuation.yield(
      .finished(
        FinishedSequence(
          reason: reason, promptTokens: request.prompt.count, generatedTokens: generatedCount,
          queuedSeconds: began.seconds(since: queued.arrival),
          firstTokenSeconds: (firstToken ?? now).seconds(since: queued.arrival),
          totalSeconds: now.seconds(since: queued.arrival))))
    queued.continuation.finish()
  }

  private func send(_ text: String) {
    if !text.isEmpty { yield(text) }
  }

  private func yield(_ text: String) {
    queued.continuation.yield(.text(text, tokens: unsent.tokens, logprobs: unsent.logprobs))
    unsent = ([], [])
  }

  /// Logits with the request's bias and penalties, which are per token, and without tokens that its grammar or
  /// its minimum of tokens excludes.
  /// Nil where the grammar's document is whole and nothing may follow it.
  private func adjusted(_ logits: Tensor) throws -> Tensor? {
    var bias = request.logitBias
    if request.presencePenalty != 0 || request.frequencyPenalty != 0 {
      for (token, count) in counts {
        bias[token, default: 0] -= request.presencePenalty + request.frequencyPenalty * Double(count)
      }
    }
    if !allowsEnd { for token in request.endTokens { bias[token] = Double(Self.excluded) } }
    guard !bias.isEmpty else { return try constrained(logits) }
    var row = [Float](repeating: 0, count: logits.count)
    for (token, value) in bias where Int(token) < row.count { row[Int(token)] = Float(value) }
    return try constrained(logits.to(.cpu) + Tensor(row))
  }

  private func constrained(_ logits: Tensor) throws -> Tensor? {
    guard let constraint else { return logits }
    guard let mask = try constraint.allowed(of: logits.count, orEnd: allowsEnd) else { return nil }
    return Tensor.where(Tensor(mask), logits.to(.cpu), Tensor([Self.excluded]))
  }

  /// The logit of a token that must not be sampled.
  private static let excluded: Float = -1e30

  /// Whether an end token may be sampled.
  private var allowsEnd: Bool { generatedCount >= request.minimumTokens }

  private func logprob(of token: TokenID, in logits: Tensor) throws -> TokenLogprob {
    let row = logits.to(.cpu).to(.float64).logSoftmax(-1)
    let count = min(request.logprobCount ?? 0, row.count)
    var alternatives: [TokenLogprob.Alternative] = []
    if count > 0 {
      let (values, indices) = row.topK(count)
      alternatives = zip(try indices.elements(Int64.self), try values.elements(Double.self)).map {
        TokenLogprob.Alternative(token: TokenID(clamping: $0), logprob: $1)
      }
    }
    return TokenLogprob(
      token: token, logprob: try row.select(0, Int(token)).item(), alternatives: alternatives)
  }
}
