import WidebandCheckedInput
import WidebandTorch

/// Samples one token after another from logits. The same seed gives the same tokens.
///
/// A token that is not sampled greedily takes one random number, see `SamplingOptions.sample`.
public struct Sampler {
  /// How tokens are sampled.
  public let options: SamplingOptions

  let numbers: RandomNumbers

  /// - Throws: `GenerationError` for an invalid option.
  public init(_ options: SamplingOptions, seed: UInt64) throws {
    try options.validate()
    self.options = options
    numbers = try RandomNumbers(seed: seed)
  }

  /// The token that follows `tokens`, whose logits are `[V]`.
  ///
  /// - Throws: `GenerationError` if the logits are not finite; `TorchError`.
  public func next(_ logits: Tensor, after tokens: [TokenID]) throws -> TokenID {
    try next(logits, among: nil, after: tokens)
  }

  /// The same among some tokens alone; all of them for nil.
  func next(_ logits: Tensor, among allowedTokens: AllowedTokens?, after tokens: [TokenID]) throws -> TokenID {
    try withTorch {
      try withoutGradients {
        // On the CPU, so that a seed means the same on every device.
        let row = logits.to(.cpu).unsqueezed(0)
        let allowed = allowedTokens ?? AllowedTokens(below: row.size(1))
        let number = options.isGreedy ? nil : Tensor([try numbers.take()], shape: [1, 1])
        let indices = options.sample(
          from: allowed.slice(row), numbers: number, seen: seen(tokens, of: row.size(1)).map(allowed.slice))
        return try finite(TokenID(clamping: allowed.tokens(at: indices).elements(Int64.self)[0]), after: tokens.count)
      }
    }
  }

  /// Takes a token that a device has sampled after `count` others with this sampler's options and random numbers.
  ///
  /// - Throws: as `next`.
  func accept(_ token: TokenID, after count: Int) throws -> TokenID {
    if !options.isGreedy { _ = try numbers.take() }
    return try finite(token, after: count)
  }

  private func finite(_ token: TokenID, after count: Int) throws -> TokenID {
    guard token >= 0 else { throw GenerationError.nonFiniteLogits(tokenCount: count) }
    return token
  }

  /// The distribution from which `next` samples, in float64, over all tokens up to the last allowed one; greedily, it is
  /// 1 at one token.
  ///
  /// - Throws: as `next`.
  func distribution(
    _ logits: Tensor, among allowedTokens: AllowedTokens? = nil, after tokens: [TokenID]
  ) throws -> Tensor {
    try withTorch {
      try withoutGradients {
        let all = logits.to(.cpu).unsqueezed(0)
        let allowed = allowedTokens ?? AllowedTokens(below: all.size(1))
        let row = allowed.slice(all), seen = seen(tokens, of: all.size(1)).map(allowed.slice)
        guard try row.max().item().isFinite, try row.min(-1).item().isFinite else {
          throw GenerationError.nonFiniteLogits(tokenCount: tokens.count)
        }
        guard options.isGreedy else {
          return allowed.scatter(options.scores(row, seen: seen).softmax(-1).squeezed(0))
        }
        let index = options.sample(from: row, numbers: nil, seen: seen)
        return allowed.scatter((Tensor.range(0..<row.size(1)) .== index).to(.float64))
      }
    }
  }

  /// A token sampled from a distribution `[V]`.
  func sample(from distribution: Tensor) throws -> TokenID {
    let number = try numbers.take()
    return try withTorch {
      let weights = distribution.unsqueezed(0)
      return TokenID(try SamplingOptions.sample(weights, by: Tensor([number], shape: [1, 1])).item())
    }
  }

  /// How many drafts are accepted, and the token that follows the last of them.
  ///
  /// - Parameter target: the model's own distribution `[V]` after a number of drafts.
  func verify(_ drafts: [Draft], target: (Int) throws -> Tensor) throws -> (accepted: Int, following: TokenID) {
    for (index, draft) in drafts.enumerated() {
      let own = try target(index)
      let following: TokenID? = try withTorch {
        let index = Int(draft.token)
        let (p, q) = try (own.select(0, index).item(), draft.distribution.select(0, index).item())
        if try numbers.take() * q < p { return nil }
        let difference = own - draft.distribution
        let rest = difference.maskedFill(difference .< 0, 0)
        // Two distributions that differ by rounding alone may leave nothing.
        return try sample(from: rest.sum().item() > 0 ? rest : own)
      }
      if let following { return (index, following) }
    }
    return (drafts.count, try sample(from: target(drafts.count)))
  }

  /// Which of V tokens are among `tokens`, `[1, V]`; nil without a repetition penalty.
  func seen(_ tokens: [TokenID], of count: Int) -> Tensor? {
    guard options.repetitionPenalty != 1 else { return nil }
    var mask = [Bool](repeating: false, count: count)
    for token in tokens where token < count { mask[Int(token)] = true }
    return Tensor(mask, shape: [1, count])
  }
}
