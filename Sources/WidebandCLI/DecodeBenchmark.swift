import Decoding
import Foundation
import LanguageModel
import Torch
import Training

/// Random tokens read and continued greedily by a model, without an end: what a text of this length costs.
struct DecodeBenchmark {
  let model: LanguageModel
  /// Tokens of a prompt, and tokens that are decoded behind the first one, whose logits are the prompt's.
  let prompt, tokens: Int
  /// Tokens of a cycle; nil for ordinary decoding.
  let cycle: Int?
  /// Texts that are decoded together, and whether each begins its cycles a step after the one before.
  let texts: Int
  let isStaggered: Bool
  let seed: UInt64
  /// How keys and values are kept; nil for the form that suits the weights.
  let keyValueForm: KeyValueCache.Form?

  /// Seconds of one run.
  struct Times {
    let prefill, firstToken: Double
    /// Of every step, in which each text gets a token.
    let steps: [Double]
    /// Bytes a second at which memory could be read, the mean of before the run and behind it.
    var readBandwidth = 0.0
  }

  /// Times runs, after a short one that is not counted: it is the first to touch the weights. Between runs the speed of
  /// memory is measured, which on a shared machine changes from minute to minute; the most memory that was in use counts
  /// runs alone.
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

  private func prompts() throws -> [[Int]] {
    let generator = try Generator(seed: seed)
    return try (0..<texts).map { _ in
      let all = try withTorch { Tensor.integers([prompt], in: 0..<model.configuration.vocabularySize, from: generator) }
      return try all.elements(Int64.self).map { Int($0) }
    }
  }

  private func run(_ prompts: [[Int]], steps: Int) throws -> Times {
    var session = try Session(self)
    let device = model.weights.device
    let clock = ContinuousClock()
    let start = clock.now
    func seconds(since instant: ContinuousClock.Instant) -> Double { (clock.now - instant) / .seconds(1) }
    let logits = try session.read(prompts)
    try device.synchronize()
    let prefill = seconds(since: start)
    var chosen = try session.choose(logits)
    let first = seconds(since: start)
    if isStaggered { chosen = try session.stagger(chosen) }
    let times = try (0..<steps).map { _ in
      let start = clock.now
      chosen = try session.step(chosen)
      return seconds(since: start)
    }
    return Times(prefill: prefill, firstToken: first, steps: times)
  }
}

/// Texts of a model that go on together.
private struct Session {
  private let ordinary: [DecodingSession]
  private let direct: [DirectDecodingSession]
  private let sampler: Sampler
  /// The texts' choices, whose device may be a step ahead.
  private var greedy: GreedyTokens?

  init(_ benchmark: DecodeBenchmark) throws {
    let (model, form) = (benchmark.model, benchmark.keyValueForm)
    // A step ahead, and those that stagger the texts.
    let capacity = min(
      benchmark.prompt + benchmark.tokens + 1 + (benchmark.cycle ?? 0), model.configuration.contextLength)
    let texts = 0..<benchmark.texts
    ordinary =
      benchmark.cycle == nil
      ? texts.map { _ in DecodingSession(model, keyValueForm: form, capacity: capacity) } : []
    direct =
      try benchmark.cycle.map { cycle in
        try texts.map { _ in
          try DirectDecodingSession(model, cycle: cycle, keyValueForm: form, capacity: capacity)
        }
      } ?? []
    sampler = try Sampler(.greedy, seed: 0)
  }

  /// The logits `[V]` behind each prompt.
  func read(_ prompts: [[Int]]) throws -> [Tensor] {
    try direct.isEmpty
      ? zip(ordinary, prompts).map { try $0.append($1) } : zip(direct, prompts).map { try $0.read($1) }
  }

  /// The tokens chosen behind a further token of each text.
  mutating func step(_ tokens: [Int]) throws -> [Int] {
    let greedy =
      try self.greedy
      ?? (direct.isEmpty ? GreedyTokens(ordinary, after: tokens) : GreedyTokens(direct, after: tokens))
    self.greedy = greedy
    return try greedy.next()
  }

  /// Takes text i as many steps ahead as i is beyond whole cycles.
  func stagger(_ tokens: [Int]) throws -> [Int] {
    try zip(direct, tokens).enumerated().map { index, text in
      try (0..<(index % text.0.cycle)).reduce(text.1) { token, _ in try choose([text.0.append(token)])[0] }
    }
  }

  func choose(_ logits: [Tensor]) throws -> [Int] { try logits.map { try sampler.next($0, after: []) } }
}
