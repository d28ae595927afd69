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
        // On the processor, so that a seed means the same on every device; float64 leaves room for any temperature.
        let scores = logits.to(.cpu).to(.float64)
        // A not-a-number makes both extremes one, an infinity one of them.
        guard try scores.max().item().isFinite, try scores.min(-1).item().isFinite else {
          throw GenerationError(
            "the logits after \(tokens.count) tokens are not finite: the model's weights are broken")
        }
        let penalized = penalizingRepetition(scores, tokens)
        let choice =
          options.isGreedy
          ? penalized.argmax(0) : filtered(penalized).softmax(0).sampled(from: generator)
        return Int(try choice.item())
      }
    }
  }

  /// Every step but the draw: `[V]` in, with minus infinity out where a token cannot be chosen.
  func scores(_ logits: Tensor, after tokens: [Int]) -> Tensor {
    filtered(penalizingRepetition(logits.to(.float64), tokens))
  }

  private func penalizingRepetition(_ scores: Tensor, _ tokens: [Int]) -> Tensor {
    let seen = Set(tokens).filter { $0 < scores.size(0) }
    guard options.repetitionPenalty != 1, !seen.isEmpty else { return scores }
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
