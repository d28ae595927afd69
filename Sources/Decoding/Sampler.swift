import Torch

/// Chooses one token after another from logits. The same seed makes the same choices.
public struct Sampler {
  /// How tokens are chosen.
  public let options: SamplingOptions

  private let generator: Generator

  /// - Throws: `GenerationError` for an option with a value that means nothing.
  public init(_ options: SamplingOptions, seed: UInt64) throws {
    try options.validate()
    self.options = options
    generator = try Generator(seed: seed)
  }

  /// The token that follows `tokens`, whose logits are `[V]`.
  ///
  /// - Throws: `GenerationError` if the logits are not finite; `TorchError`.
  public func next(_ logits: Tensor, after tokens: [Int]) throws -> Int {
    try withTorch {
      try withoutGradients {
        let own = try checked(logits, tokens.count)
        // Nothing that is done in float64 changes which is the largest.
        if options.isGreedy, options.repetitionPenalty == 1 { return try Self.largest(of: own) }
        let penalized = penalizingRepetition(own.to(.float64), tokens)
        let choice =
          options.isGreedy
          ? penalized.argmax(0) : filtered(penalized).softmax(0).sampled(from: generator)
        return Int(try choice.item())
      }
    }
  }

  /// The same where only tokens from 0 to `choices` - 1 may be chosen; all of them for nil.
  func next(_ logits: Tensor, among choices: Int?, after tokens: [Int]) throws -> Int {
    try next(withTorch { logits.slice(0, 0..<(choices ?? logits.size(0))) }, after: tokens)
  }

  /// The distribution `[V]` from which `next` draws, in float64; greedily, all of it on one token.
  ///
  /// - Throws: as `next`.
  func distribution(_ logits: Tensor, after tokens: [Int]) throws -> Tensor {
    try withTorch {
      try withoutGradients {
        let penalized = penalizingRepetition(try checked(logits, tokens.count).to(.float64), tokens)
        guard options.isGreedy else { return filtered(penalized).softmax(0) }
        return (Tensor.range(0..<penalized.size(0)) .== penalized.argmax(0)).to(.float64)
      }
    }
  }

  /// A token drawn from a distribution `[V]`.
  func draw(from distribution: Tensor) throws -> Int {
    try withTorch { Int(try distribution.sampled(from: generator).item()) }
  }

  /// How many drafts are accepted, and the token that follows the last of them.
  ///
  /// - Parameter target: the model's own distribution `[V]` behind a number of drafts.
  func verify(_ drafts: [Draft], target: (Int) throws -> Tensor) throws -> (accepted: Int, following: Int) {
    for (place, draft) in drafts.enumerated() {
      let own = try target(place)
      let following: Int? = try withTorch {
        let (p, q) = try (own.select(0, draft.token).item(), draft.distribution.select(0, draft.token).item())
        if try Tensor.uniform([1], .float64, from: generator).item() * q < p { return nil }
        let difference = own - draft.distribution
        let rest = difference.masked(difference .< 0, 0)
        // Two distributions that differ by rounding alone may leave nothing.
        return try draw(from: rest.sum().item() > 0 ? rest : own)
      }
      if let following { return (place, following) }
    }
    return (drafts.count, try draw(from: target(drafts.count)))
  }

  /// The place of the largest logit, the first of equal ones.
  ///
  /// libtorch looks through a row for a place one number after another, but for the largest number a register at a time:
  /// the place is looked for in the first short part that has it.
  private static func largest(of logits: Tensor) throws -> Int {
    let width = 512, count = logits.size(0), whole = count / width * width
    var part = whole..<count
    if whole > 0 {
      let parts = logits.slice(0, 0..<whole).reshaped(whole / width, width).max(1)
      let best = Int(try parts.argmax(0).item())
      let isBehind = try whole < count && logits.slice(0, part).max().item() > parts.select(0, best).item()
      if !isBehind { part = best * width..<(best + 1) * width }
    }
    return part.lowerBound + Int(try logits.slice(0, part).argmax(0).item())
  }

  /// Logits on the processor, so that a seed means the same on every device. What is computed with them is in float64,
  /// which leaves room for any temperature.
  private func checked(_ logits: Tensor, _ count: Int) throws -> Tensor {
    let scores = logits.to(.cpu)
    // A not-a-number makes both extremes one, an infinity one of them.
    guard try scores.max().item().isFinite, try scores.min(-1).item().isFinite else {
      throw Self.brokenModel(after: count)
    }
    return scores
  }

  /// What is said of logits behind `count` tokens that are not finite.
  static func brokenModel(after count: Int) -> GenerationError {
    GenerationError("the logits after \(count) tokens are not finite: the model's weights are broken")
  }

  /// Every step but the draw: `[V]` in, with minus infinity out where a token cannot be chosen.
  func scores(_ logits: Tensor, after tokens: [Int]) -> Tensor {
    filtered(penalizingRepetition(logits.to(.float64), tokens))
  }

  private func penalizingRepetition(_ scores: Tensor, _ tokens: [Int]) -> Tensor {
    guard options.repetitionPenalty != 1 else { return scores }
    let seen = Set(tokens).filter { $0 < scores.size(0) }
    guard !seen.isEmpty else { return scores }
    let indices = Tensor(seen.map(Int64.init))
    let old = scores.gather(indices, axis: 0)
    let new = Tensor.choose(old .< 0, old * options.repetitionPenalty, old / Tensor([options.repetitionPenalty]))
    return scores.scatter(indices, axis: 0, new)
  }

  private func filtered(_ scores: Tensor) -> Tensor {
    // Taking the largest away changes no probability and keeps tiny temperatures from overflowing.
    let cooled = (scores - scores.max()) / Tensor([options.temperature])
    return keepingMinP(keepingTopP(keepingTopK(cooled)))
  }

  private func keepingTopK(_ scores: Tensor) -> Tensor {
    guard let k = options.topK, k < scores.size(0) else { return scores }
    return scores.masked(scores .< scores.top(k).values.min(0), -.infinity)
  }

  private func keepingTopP(_ scores: Tensor) -> Tensor {
    guard options.topP < 1 else { return scores }
    // From the least probable up: what goes is the tail that has 1 - p together, and never the last one.
    let (sorted, order) = scores.sorted()
    let keeps = sorted.softmax(0).cumulativeSum(0) .> (1 - options.topP)
    let last = Tensor([true])
    let kept = Tensor.concatenate([keeps.slice(0, 0..<(keeps.size(0) - 1)), last])
    return scores.masked(kept.scatter(order, axis: 0, kept).not(), -.infinity)
  }

  private func keepingMinP(_ scores: Tensor) -> Tensor {
    guard options.minP > 0 else { return scores }
    let probabilities = scores.softmax(0)
    return scores.masked(probabilities .< probabilities.max() * options.minP, -.infinity)
  }
}
