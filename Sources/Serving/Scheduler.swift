import WidebandCheckedInput
import WidebandDecoding
import WidebandStructuredOutput
import WidebandTorch

/// Decides what the engine's thread computes next: a chunk of a prompt, or a step of all running sequences.
///
/// Sequences are admitted in the order of their arrival, each with memory for its prompt and all tokens that it may
/// generate, so nothing that runs is ever evicted. While others decode, prompts get half of the time.
///
/// Unchecked: the engine's thread alone uses it, once that runs.
final class Scheduler: @unchecked Sendable {
  /// Tokens of a prompt that are processed at a time. Chunks begin at its multiples.
  static let chunk = 64

  private let model: LoadedModel
  private let options: ServingOptions
  private let context: Int
  private let queue: RequestQueue
  private var prefixes: PrefixCache
  /// The vocabulary for requests with a grammar.
  private lazy var tokens = TokenConstraint.vocabulary(of: model.tokenizer)
  /// Memory of sequences that have ended without an error.
  private(set) var freeMemory: [SequenceMemory]
  /// Sequences by their state, in the order of their arrival: those whose prompt is processed, those that wait for the
  /// others' cycle head, and those that are decoded.
  private var prefilling: [ServedSequence] = []
  private var aligning: [ServedSequence] = []
  private var running: [ServedSequence] = []
  /// Seconds by which prompts are ahead of decoding in computing time.
  private var prefillLead = 0.0

  /// - Throws: `GenerationError` for a cycle or a number of sequences that does not suit the model.
  init(_ model: LoadedModel, _ options: ServingOptions, context: Int, _ queue: RequestQueue) throws {
    let range = 1...ServingOptions.maximumParallel
    guard range.contains(options.parallel) else {
      throw GenerationError.invalidOption("parallel is \(options.parallel): expected \(describe(range))")
    }
    (self.model, self.options, self.context, self.queue) = (model, options, context, queue)
    prefixes = PrefixCache(limit: options.prefixCacheBytes)
    freeMemory = [try SequenceMemory(model.model, options)]
  }

  /// Runs until the engine is stopped.
  func run() {
    while runStep() {}
    for sequence in active { sequence.queued.continuation.finish(throwing: ServingError.stopping) }
    queue.end()
  }

  /// Takes new requests, drops cancelled ones, and computes a chunk and a step; waits for a request where there is
  /// nothing to compute. False if the engine is stopped.
  func runStep() -> Bool {
    guard let sequences = queue.take() else { return false }
    for queued in sequences { begin(queued) }
    dropCancelled()
    if !prefilling.isEmpty, running.isEmpty && aligning.isEmpty || prefillLead <= 0 { prefill(prefilling[0]) }
    if running.allSatisfy({ $0.session.nextPhase == 0 }) {
      running += aligning
      aligning = []
    }
    if !running.isEmpty { step() }
    publish()
    return true
  }

  private var active: [ServedSequence] { prefilling + aligning + running }

  // MARK: - Joining and leaving

  private func begin(_ queued: QueuedSequence) {
    let request = queued.request
    let length = request.prompt.count + request.maximumTokens
    do {
      let memory = try freeMemory.popLast() ?? SequenceMemory(model.model, options)
      memory.truncate(to: 0)
      memory.reserveCapacity(length)
      prefilling.append(try ServedSequence(queued, memory, model, prefix: prefixes.begin(), tokens: tokens))
    } catch { fail(queued, error) }
  }

  private func dropCancelled() {
    func keep(_ sequence: ServedSequence) -> Bool {
      guard queue.isCancelled(sequence.queued) else { return true }
      release(sequence)
      queue.leave { $0.cancelled += 1 }
      return false
    }
    prefilling = prefilling.filter(keep)
    aligning = aligning.filter(keep)
    running = running.filter(keep)
  }

  private func release(_ sequence: ServedSequence) {
    sequence.memory.truncate(to: 0)
    freeMemory.append(sequence.memory)
  }

  private func fail(_ queued: QueuedSequence, _ error: any Error) {
    queue.leave { $0.failed += 1 }
    queued.continuation.finish(throwing: ServingError.failed("\(error)"))
  }

  /// Ends a sequence with an error. Its memory is not used again: an allocation may have failed in it.
  private func fail(_ sequence: ServedSequence, _ error: any Error) {
    sequence.hasEnded = true
    fail(sequence.queued, error)
  }

  private func finish(_ sequence: ServedSequence, _ reason: FinishedSequence.Reason) {
    sequence.hasEnded = true
    queue.leave { if reason == .length { $0.reachedLength += 1 } else { $0.stopped += 1 } }
    // A client that has its answer finds it in the counters.
    publish()
    sequence.finish(reason)
    release(sequence)
  }

  /// Samples a sequence's next token; false if the sequence has ended with it, or failed.
  ///
  /// - Parameters:
  ///   - logits: the logits `[V]` of the token.
  ///   - count: the number of tokens before it; nil for all of its session.
  private func advance(
    _ sequence: ServedSequence, _ logits: @autoclosure () throws -> Tensor, after count: Int? = nil
  ) -> Bool {
    do {
      let reason = try sequence.next(logits(), after: count)
      if sequence.queued.request.maximumTokens > 0 { queue.update { $0.generatedTokens += 1 } }
      guard let reason else { return true }
      finish(sequence, reason)
    } catch { fail(sequence, error) }
    return false
  }

  // MARK: - Computing

  /// Processes the next chunk of a prompt that the cache does not have, and samples the first token after the last one.
  private func prefill(_ sequence: ServedSequence) {
    let start = ContinuousClock.now
    do {
      try restore(sequence)
      let (count, logits) = try sequence.read(Self.chunk, into: &prefixes)
      queue.update { $0.promptTokens += count }
      if sequence.hasReadPrompt {
        prefilling.removeFirst()
        sequence.start()
        if advance(sequence, logits) { aligning.append(sequence) }
      }
    } catch {
      prefilling.removeFirst()
      fail(sequence, error)
    }
    let seconds = ContinuousClock.now.seconds(since: start)
    prefillLead = running.isEmpty ? 0 : prefillLead + seconds
    queue.update { $0.prefillSeconds += seconds }
  }

  /// Takes what the cache has of the rest of a prompt.
  private func restore(_ sequence: ServedSequence) throws {
    let request = sequence.queued.request
    // Log-probabilities of the prompt need all of its logits.
    guard !request.reportsPrompt else { return }
    let queried = sequence.session.tokens.isEmpty ? request.prompt.count : 0
    let found = try sequence.restore(Self.chunk, from: &prefixes)
    queue.update { statistics in
      statistics.prefixQueriedTokens += queried
      statistics.prefixHitTokens += found
    }
  }

  /// Generates one token of every running sequence, or several of one that is alone and has drafts.
  private func step() {
    let start = ContinuousClock.now
    let count = running.count
    do {
      if options.draftMethod == nil {
        let logits = try DecodingSession.append(running.map(\.last), to: running.map(\.session))
        running = advance(running, logits)
      } else if count == 1 {
        if try !verifyDrafts(running[0]) { running = [] }
      } else {
        let logits = try DecodingSession.verify(running.map { [$0.last] }, of: running.map(\.session))
        running = advance(running, logits)
      }
    } catch {
      for sequence in running where !sequence.hasEnded { fail(sequence, error) }
      running = []
    }
    let seconds = ContinuousClock.now.seconds(since: start)
    prefillLead = max(0, prefillLead - seconds)
    let waiting = aligning.count
    queue.update { statistics in
      statistics.decodeSteps += 1
      statistics.decodedSequences += count
      statistics.alignmentSteps += waiting
      statistics.decodeSeconds += seconds
    }
  }

  /// Samples the next token of each sequence from logits `[sequences, V]`; returns those that have not ended.
  private func advance(_ sequences: [ServedSequence], _ logits: Tensor) -> [ServedSequence] {
    var continuing: [ServedSequence] = []
    for (row, sequence) in sequences.enumerated()
    where advance(sequence, try withTorch { logits.select(0, row) }) {
      continuing.append(sequence)
    }
    return continuing
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
      queue.update { statistics in
        statistics.draftedTokens += drafts.count
        statistics.acceptedTokens += accepted
      }
    }
    while true {
      guard advance(sequence, try withTorch { logits.select(0, accepted) }, after: start + 1 + accepted) else {
        return false
      }
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
    let (prefilling, running) = (prefilling.count, aligning.count + decoding.count)
    let positions = active.reduce(0) { $0 + ($1.hasEnded ? 0 : $1.session.tokens.count) }
    queue.update { statistics in
      (statistics.prefilling, statistics.running, statistics.phases) = (prefilling, running, phases)
      (statistics.cachePositions, statistics.cacheCapacity) = (positions, options.parallel * context)
      statistics.prefixCacheBytes = prefixes.byteCount
    }
  }
}
