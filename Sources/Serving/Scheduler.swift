import WidebandCheckedInput
import WidebandDecoding
import WidebandStructuredOutput
import WidebandTorch

/// Decides what the engine's thread computes next: a chunk of a prompt, or a step of all running sequences.
///
/// Sequences are admitted in the order of their arrival, each with memory for its prompt and all tokens that it may
/// generate, so nothing that runs is ever evicted. While others decode, prompts get half of the time.
final class Scheduler: @unchecked Sendable {
  /// Tokens of a prompt that are processed at a time. Chunks begin at its multiples.
  static let chunk = 64

  private let model: LoadedModel
  private let options: ServingOptions
  private let context: Int
  private let mailbox: Mailbox
  private var prefixes: PrefixCache
  /// The vocabulary for requests with a grammar.
  private lazy var tokens = TokenConstraint.vocabulary(of: model.tokenizer)
  private var freeMemory: [SequenceMemory] = []
  /// Sequences by their state, in the order of their arrival.
  private var prefilling: [ServedSequence] = []
  private var ready: [ServedSequence] = []
  private var running: [ServedSequence] = []
  /// Seconds by which prompts are ahead of decoding in computing time.
  private var prefillLead = 0.0

  /// - Throws: `GenerationError` for a cycle or a number of sequences that does not suit the model.
  init(_ model: LoadedModel, _ options: ServingOptions, context: Int, _ mailbox: Mailbox) throws {
    let range = 1...ServingOptions.maximumParallel
    guard range.contains(options.parallel) else {
      throw GenerationError.invalidOption("parallel is \(options.parallel): expected \(describe(range))")
    }
    (self.model, self.options, self.context, self.mailbox) = (model, options, context, mailbox)
    prefixes = PrefixCache(chunk: Self.chunk, limit: options.prefixCacheBytes)
    freeMemory = [try SequenceMemory(model.model, options)]
  }

  /// Runs until the engine is stopped.
  func run() {
    while turn() {}
    for sequence in active { sequence.job.continuation.finish(throwing: ServingError.stopping) }
    mailbox.end()
  }

  /// Takes new requests, drops cancelled ones, and computes a chunk and a step; waits for a request where there is
  /// nothing to compute. False if the engine is stopped.
  func turn() -> Bool {
    guard let jobs = mailbox.take(options.parallel - active.count, while: active.isEmpty) else { return false }
    for job in jobs { begin(job) }
    dropCancelled()
    if !prefilling.isEmpty, running.isEmpty && ready.isEmpty || prefillLead <= 0 { prefill(prefilling[0]) }
    if running.allSatisfy({ $0.session.nextPhase == 0 }) {
      running += ready
      ready = []
    }
    if !running.isEmpty { step() }
    publish()
    return true
  }

  private var active: [ServedSequence] { prefilling + ready + running }

  // MARK: - Joining and leaving

  private func begin(_ job: Job) {
    let request = job.request
    let length = request.prompt.count + request.maximumTokens
    do {
      let memory = try freeMemory.popLast() ?? SequenceMemory(model.model, options)
      memory.truncate(to: 0)
      memory.reserveCapacity(length)
      // Log-probabilities of the prompt need all of its logits.
      let found = request.reportsPrompt ? ([], PrefixCache.root) : prefixes.match(request.prompt)
      for (index, snapshot) in found.0.enumerated() {
        let start = index * Self.chunk
        try memory.session.restore(Array(request.prompt[start..<(start + Self.chunk)]), from: snapshot)
      }
      let cached = memory.session.tokens.count
      prefilling.append(try ServedSequence(job, memory, model, prefix: (cached, found.1), tokens: tokens))
      mailbox.update { statistics in
        statistics.prefixQueriedTokens += request.prompt.count
        statistics.prefixHitTokens += cached
      }
    } catch { fail(job, error) }
  }

  private func dropCancelled() {
    func keep(_ sequence: ServedSequence) -> Bool {
      guard mailbox.isCancelled(sequence.job) else { return true }
      release(sequence)
      mailbox.update { $0.cancelled += 1 }
      return false
    }
    prefilling = prefilling.filter(keep)
    ready = ready.filter(keep)
    running = running.filter(keep)
  }

  private func release(_ sequence: ServedSequence) {
    sequence.memory.truncate(to: 0)
    freeMemory.append(sequence.memory)
  }

  private func fail(_ job: Job, _ error: any Error) {
    mailbox.update { $0.failed += 1 }
    job.continuation.finish(throwing: ServingError.failed("\(error)"))
  }

  private func finish(_ sequence: ServedSequence, _ reason: FinishedSequence.Reason) {
    sequence.hasEnded = true
    mailbox.update { if reason == .length { $0.reachedLength += 1 } else { $0.stopped += 1 } }
    // A client that has its answer finds it in the counters.
    publish()
    sequence.finish(reason)
    release(sequence)
  }

  /// Samples a sequence's next token; false if the sequence has ended with it, or failed.
  ///
  /// - Parameter count: the number of tokens before it; nil for all of its session.
  private func advance(_ sequence: ServedSequence, _ logits: Tensor, after count: Int? = nil) -> Bool {
    do {
      let reason = try sequence.next(logits, after: count)
      if sequence.job.request.maximumTokens > 0 { mailbox.update { $0.generatedTokens += 1 } }
      guard let reason else { return true }
      finish(sequence, reason)
    } catch {
      fail(sequence.job, error)
      release(sequence)
    }
    return false
  }

  // MARK: - Computing

  /// Processes the next chunk of a prompt, and samples the first token after the last one.
  private func prefill(_ sequence: ServedSequence) {
    let start = ContinuousClock.now
    let (session, request) = (sequence.session, sequence.job.request)
    let range = sequence.nextChunk(Self.chunk)
    let tokens = Array(request.prompt[range])
    do {
      let logits: Tensor
      if request.reportsPrompt {
        let all = try session.prefillLogits(tokens)
        try sequence.report(all, of: range)
        logits = try withTorch { all.select(0, range.count - 1) }
      } else {
        logits = try session.prefill(tokens)
      }
      if range.count == Self.chunk, sequence.prefix >= 0, let snapshot = try session.snapshot(range) {
        sequence.prefix = prefixes.insert(tokens, after: sequence.prefix, snapshot)
      }
      if range.upperBound == request.prompt.count {
        prefilling.removeFirst()
        sequence.start()
        if advance(sequence, logits) { ready.append(sequence) }
      }
    } catch {
      prefilling.removeFirst()
      fail(sequence.job, error)
      release(sequence)
    }
    let seconds = ContinuousClock.now.seconds(since: start)
    prefillLead = running.isEmpty ? 0 : prefillLead + seconds
    mailbox.update { statistics in
      statistics.promptTokens += range.count
      statistics.prefillSeconds += seconds
    }
  }

  /// Generates one token of every running sequence, or several of one that is alone and has drafts.
  private func step() {
    let start = ContinuousClock.now
    let count = running.count
    do {
      if options.draftMethod == nil {
        let logits = try DecodingSession.append(running.map(\.last), to: running.map(\.session))
        running = try advance(running, logits)
      } else if count == 1 {
        if try !verifyDrafts(running[0]) { running = [] }
      } else {
        let logits = try DecodingSession.verify(running.map { [$0.last] }, of: running.map(\.session))
        running = try advance(running, logits)
      }
    } catch {
      for sequence in running {
        fail(sequence.job, error)
        release(sequence)
      }
      running = []
    }
    let seconds = ContinuousClock.now.seconds(since: start)
    prefillLead = max(0, prefillLead - seconds)
    let waiting = ready.count
    mailbox.update { statistics in
      statistics.decodeSteps += 1
      statistics.decodedSequences += count
      statistics.alignmentSteps += waiting
      statistics.decodeSeconds += seconds
    }
  }

  /// Samples the next token of each sequence from logits `[sequences, V]`; returns those that have not ended.
  private func advance(_ sequences: [ServedSequence], _ logits: Tensor) throws -> [ServedSequence] {
    try sequences.enumerated().filter { row, sequence in
      advance(sequence, try withTorch { logits.select(0, row) })
    }.map(\.element)
  }

  /// Samples the tokens of a sequence after its last one for as long as drafts are equal to them; false if it has ended.
  ///
  /// Each token is sampled from the model's logits as without drafts, so they change the speed alone.
  private func verifyDrafts(_ sequence: ServedSequence) throws -> Bool {
    let start = sequence.session.tokens.count
    let drafts = try sequence.drafts(upTo: Kernels.maximumStepPositions - 1)
    let logits = try DecodingSession.verify([[sequence.last] + drafts], of: [sequence.session])
    var accepted = 0
    defer {
      mailbox.update { statistics in
        statistics.draftedTokens += drafts.count
        statistics.acceptedTokens += accepted
      }
    }
    while true {
      let row = try withTorch { logits.select(0, accepted) }
      guard advance(sequence, row, after: start + 1 + accepted) else { return false }
      guard accepted < drafts.count, drafts[accepted] == sequence.last else { break }
      accepted += 1
    }
    sequence.memory.truncate(to: start + 1 + accepted)
    return true
  }

  private func publish() {
    var phases = [Int](repeating: 0, count: options.cycle ?? 1)
    let decoding = running.filter { !$0.hasEnded }
    for sequence in decoding { phases[sequence.session.nextPhase] += 1 }
    let (prefilling, running) = (prefilling.count, ready.count + decoding.count)
    let positions = active.reduce(0) { $0 + ($1.hasEnded ? 0 : $1.session.tokens.count) }
    mailbox.update { statistics in
      (statistics.prefilling, statistics.running, statistics.phases) = (prefilling, running, phases)
      (statistics.cachePositions, statistics.cacheCapacity) = (positions, options.parallel * context)
      statistics.prefixCacheBytes = prefixes.byteCount
    }
  }
}
