import WidebandCheckedInput
import WidebandLanguageModel
import WidebandTorch

/// Continues many prompts, some at a time, with one token of each in a pass over the weights.
///
/// A prompt takes the place and the session of a sequence that has ended. With direct decoding it waits until the others
/// are at a cycle head, so that the thinking layers run once a cycle for all of them.
struct BatchGeneration {
  /// Called with a prompt's index and each of its tokens; a reason to finish ends that sequence.
  typealias Accept = (Int, TokenID) throws -> GenerationResult.FinishReason?

  /// Sequences that are decoded at a time: so many rows of a matrix product cost little more than one.
  static let maximumSequences = Kernels.maximumStepPositions

  private let generation: TokenGeneration
  private let runAhead: RunAheadDecoder?

  init(generation: TokenGeneration) {
    self.init(
      generation: generation,
      runAhead: RunAheadDecoder.make(for: generation.model, allowedTokens: generation.allowedTokens))
  }

  /// - Parameter runAhead: takes steps before the tokens of earlier ones are known; nil for one step after the other.
  init(generation: TokenGeneration, runAhead: RunAheadDecoder?) {
    (self.generation, self.runAhead) = (generation, runAhead)
  }

  /// Sequence i samples with the options' seed + i, and has the tokens that it would have alone.
  ///
  /// - Parameters:
  ///   - seedOffsets: what is added to the seed for each sequence instead of i.
  ///   - finished: called with the index of each sequence that has ended.
  func run(
    _ prompts: [[TokenID]], seedOffsets: [Int]? = nil, check: () throws -> Void, accept: Accept,
    finished: (Int, GenerationResult) throws -> Void
  ) throws {
    try validate(prompts)
    let seed = generation.options.seed ?? .random(in: 0 ... .max)
    var results = (seedOffsets ?? Array(prompts.indices)).map { GenerationResult(seed: seed &+ UInt64($0)) }
    var starts: [Int: ContinuousClock.Instant] = [:]
    var freeSessions: [DecodingSession] = []
    var waiting = prompts.indices
    let batch = BatchTokenIterator(allowedTokens: generation.allowedTokens, runAhead: runAhead)
    /// Takes a sequence's last token; whether the sequence continues after it.
    func continues(_ sequence: ActiveSequence) throws -> Bool {
      let index = sequence.id
      guard let reason = try generation.append(sequence.last, to: &results[index], { try accept(index, $0) }) else {
        return true
      }
      results[index].finishReason = reason
      results[index].decodingSeconds = starts[index].map { ContinuousClock.now.seconds(since: $0) } ?? 0
      sequence.session.truncate(to: 0)
      freeSessions.append(sequence.session)
      try finished(index, results[index])
      return false
    }
    while !waiting.isEmpty || !batch.sequences.isEmpty {
      while batch.sequences.count < Self.maximumSequences, batch.sequences.allSatisfy({ $0.session.nextPhase == 0 }),
        let index = waiting.popFirst()
      {
        let sequence = try begin(prompts[index], at: index, &results[index], check, in: freeSessions.popLast())
        starts[index] = ContinuousClock.now
        if try continues(sequence) { batch.sequences.append(sequence) }
      }
      guard !batch.sequences.isEmpty else { continue }
      try check()
      let tokens = try batch.next()
      batch.sequences = try zip(batch.sequences, tokens).compactMap { sequence, token in
        guard token != nil else { return sequence }
        results[sequence.id].decodedTokenCount += 1
        return try continues(sequence) ? sequence : nil
      }
    }
  }

  private func validate(_ prompts: [[TokenID]]) throws {
    try generation.options.validate()
    guard generation.options.draftMethod == nil else {
      throw GenerationError.invalidOption("drafts are for one sequence: expected none for several")
    }
    for (index, prompt) in prompts.enumerated() {
      do { try generation.requireContext(after: prompt) } catch let error as GenerationError {
        throw GenerationError.sequence(index, count: prompts.count, error)
      }
    }
  }

  /// Processes a prompt in an empty session, a new one for nil, and samples what follows it.
  private func begin(
    _ prompt: [TokenID], at index: Int, _ result: inout GenerationResult, _ check: () throws -> Void,
    in freeSession: DecodingSession?
  ) throws -> ActiveSequence {
    let start = ContinuousClock.now
    let sampler = try Sampler(generation.options.sampling, seed: result.seed)
    let length = generation.maximumLength(of: prompt)
    let session = try freeSession ?? generation.makeSession(capacity: length)
    session.cache?.reserveCapacity(length)
    let first = try sampler.next(
      session.prefill(prompt, check: check), among: generation.allowedTokens, after: session.tokens)
    result.promptTokenCount = prompt.count
    result.prefillSeconds = ContinuousClock.now.seconds(since: start)
    return ActiveSequence(id: index, session: session, sampler: sampler, last: first)
  }
}
