import Foundation
import Wideband

/// A benchmark of prefill and greedy decoding with random prompts; end-of-text tokens are ignored.
struct DecodeBenchmark {
  let model: LanguageModel
  /// Tokens of a prompt, and tokens that are decoded after the first one, which is chosen by the prompt's logits.
  let prompt, tokens: Int
  /// Tokens of a cycle; nil for ordinary decoding.
  let cycle: Int?
  /// Sequences that are decoded together, and whether each begins its cycles one step after the previous one.
  let sequences: Int
  let isStaggered: Bool
  let seed: UInt64
  /// The format of the key-value cache; nil for the default of the weights.
  let cacheFormat: KVCacheFormat?

  /// Seconds of one run.
  struct Times {
    let prefill, firstToken: Double
    /// The seconds of each step, which adds one token to each sequence.
    let steps: [Double]
    /// The bandwidth of reading memory in bytes per second, the mean of before and after the run.
    var readBandwidth = 0.0
  }

  /// Times several runs, after a short warm-up that touches the weights. The memory bandwidth is measured between runs,
  /// because it varies on a shared machine. The peak memory is that of the runs only.
  func run(
    times count: Int, bandwidth: () throws -> Double
  ) throws -> (times: [Times], peakBytes: Int) {
    let prompts = try prompts()
    _ = try run(prompts, steps: min(tokens, 2 * (cycle ?? 1)))
    var peak = 0
    var before = try bandwidth()
    let times = try (0..<count).map { _ in
      ProcessMemory.resetPeak()
      var run = try run(prompts, steps: tokens)
      peak = max(peak, ProcessMemory.peakBytes)
      let after = try bandwidth()
      run.readBandwidth = (before + after) / 2
      before = after
      return run
    }
    return (times, peak)
  }

  private func prompts() throws -> [[TokenID]] {
    let generator = try Generator(seed: seed)
    return try (0..<sequences).map { _ in
      let all = try withTorch { Tensor.integers([prompt], in: 0..<model.configuration.vocabularySize, from: generator) }
      return try all.elements(Int64.self).map(TokenID.init(clamping:))
    }
  }

  private func run(_ prompts: [[TokenID]], steps: Int) throws -> Times {
    let session = try Session(self)
    let device = model.weights.device
    let clock = ContinuousClock()
    let start = clock.now
    func seconds(since instant: ContinuousClock.Instant) -> Double { (clock.now - instant) / .seconds(1) }
    let logits = try session.prefill(prompts)
    try device.synchronize()
    let prefill = seconds(since: start)
    var tokens = try session.sample(logits)
    let first = seconds(since: start)
    if isStaggered { tokens = try session.stagger(tokens) }
    session.start(tokens)
    let times = try (0..<steps).map { _ in
      let start = clock.now
      try session.step()
      return seconds(since: start)
    }
    return Times(prefill: prefill, firstToken: first, steps: times)
  }
}

/// Sequences of a model that are decoded as a batch.
private struct Session {
  private let sessions: [DecodingSession]
  private let iterator: BatchTokenIterator
  private let sampler: Sampler

  init(_ benchmark: DecodeBenchmark) throws {
    let (model, format) = (benchmark.model, benchmark.cacheFormat)
    // One step ahead, and those that stagger the sequences.
    let capacity = min(
      benchmark.prompt + benchmark.tokens + 1 + (benchmark.cycle ?? 0), model.configuration.contextLength)
    sessions = try (0..<benchmark.sequences).map { _ in
      try DecodingSession(model, cycle: benchmark.cycle, cacheFormat: format, capacity: capacity)
    }
    iterator = BatchTokenIterator(model)
    sampler = try Sampler(.greedy, seed: 0)
  }

  /// The logits `[V]` after each prompt.
  func prefill(_ prompts: [[TokenID]]) throws -> [Tensor] { try zip(sessions, prompts).map { try $0.prefill($1) } }

  /// Starts to decode after these tokens, one of each sequence.
  func start(_ tokens: [TokenID]) {
    iterator.sequences = zip(sessions, tokens).enumerated().map { index, sequence in
      ActiveSequence(id: index, session: sequence.0, sampler: sampler, last: sequence.1)
    }
  }

  /// Samples a token of each sequence.
  func step() throws { _ = try iterator.next() }

  /// Appends i modulo the cycle tokens to sequence i; returns each sequence's next token.
  func stagger(_ tokens: [TokenID]) throws -> [TokenID] {
    try zip(sessions, tokens).enumerated().map { index, sequence in
      try (0..<(index % sequence.0.cycle)).reduce(sequence.1) { token, _ in
        try sample([sequence.0.append(token)])[0]
      }
    }
  }

  func sample(_ logits: [Tensor]) throws -> [TokenID] { try logits.map { try sampler.next($0, after: []) } }
}
