import Torch

/// Chooses one token after another from logits. The same seed makes the same choices.
///
/// A choice that is not greedy takes one number of the seed's, see `SamplingOptions.choices`.
public struct Sampler {
  /// How tokens are chosen.
  public let options: SamplingOptions

  let numbers: RandomNumbers

  /// - Throws: `GenerationError` for an option with a value that means nothing.
  public init(_ options: SamplingOptions, seed: UInt64) throws {
    try options.validate()
    self.options = options
    numbers = try RandomNumbers(seed: seed)
  }

  /// The token that follows `tokens`, whose logits are `[V]`.
  ///
  /// - Throws: `GenerationError` if the logits are not finite; `TorchError`.
  public func next(_ logits: Tensor, after tokens: [Int]) throws -> Int { try next(logits, among: nil, after: tokens) }

  /// The same where only some tokens may be chosen; all of them for nil.
  func next(_ logits: Tensor, among allowed: AllowedTokens?, after tokens: [Int]) throws -> Int {
    try withTorch {
      try withoutGradients {
        // On the processor, so that a seed means the same on every device.
        let row = logits.to(.cpu).unsqueezed(0)
        let allowed = allowed ?? AllowedTokens(below: row.size(1))
        let number = options.isGreedy ? nil : Tensor([try numbers.take()], shape: [1, 1])
        let places = options.choices(
          from: allowed.part(of: row), numbers: number, seen: seen(tokens, of: row.size(1)).map(allowed.part))
        return try accepted(Int(allowed.tokens(at: places).elements(Int64.self)[0]), after: tokens.count)
      }
    }
  }

  /// The token behind `count` others that a device has chosen.
  ///
  /// - Throws: as `next`.
  func confirmed(_ token: Int, after count: Int) throws -> Int {
    if !options.isGreedy { _ = try numbers.take() }
    return try accepted(token, after: count)
  }

  private func accepted(_ token: Int, after count: Int) throws -> Int {
    guard token >= 0 else { throw Self.brokenModel(after: count) }
    return token
  }

  /// The distribution from which `next` draws, in float64, over all tokens up to the last that may be chosen; greedily, all
  /// of it on one token.
  ///
  /// - Throws: as `next`.
  func distribution(_ logits: Tensor, among allowed: AllowedTokens? = nil, after tokens: [Int]) throws -> Tensor {
    try withTorch {
      try withoutGradients {
        let all = logits.to(.cpu).unsqueezed(0)
        let allowed = allowed ?? AllowedTokens(below: all.size(1))
        let row = allowed.part(of: all), seen = seen(tokens, of: all.size(1)).map(allowed.part)
        guard try row.max().item().isFinite, try row.min(-1).item().isFinite else {
          throw Self.brokenModel(after: tokens.count)
        }
        guard options.isGreedy else {
          return allowed.spread(options.scores(row, seen: seen).softmax(-1).squeezed(0))
        }
        let choice = options.choices(from: row, numbers: nil, seen: seen)
        return allowed.spread((Tensor.range(0..<row.size(1)) .== choice).to(.float64))
      }
    }
  }

  /// A token drawn from a distribution `[V]`.
  func draw(from distribution: Tensor) throws -> Int {
    let number = try numbers.take()
    return try withTorch {
      Int(try SamplingOptions.drawn(by: Tensor([number], shape: [1, 1]), from: distribution.unsqueezed(0)).item())
    }
  }

  /// How many drafts are accepted, and the token that follows the last of them.
  ///
  /// - Parameter target: the model's own distribution `[V]` behind a number of drafts.
  func verify(_ drafts: [Draft], target: (Int) throws -> Tensor) throws -> (accepted: Int, following: Int) {
    for (place, draft) in drafts.enumerated() {
      let own = try target(place)
      let following: Int? = try withTorch {
        let (p, q) = try (own.select(0, draft.token).item(), draft.distribution.select(0, draft.token).item())
        if try numbers.take() * q < p { return nil }
        let difference = own - draft.distribution
        let rest = difference.masked(difference .< 0, 0)
        // Two distributions that differ by rounding alone may leave nothing.
        return try draw(from: rest.sum().item() > 0 ? rest : own)
      }
      if let following { return (place, following) }
    }
    return (drafts.count, try draw(from: target(drafts.count)))
  }

  /// What is said of logits behind `count` tokens that are not finite.
  static func brokenModel(after count: Int) -> GenerationError {
    GenerationError("the logits after \(count) tokens are not finite: the model's weights are broken")
  }

  /// Which of V tokens a text has, `[1, V]`; nil where it does not matter.
  func seen(_ tokens: [Int], of count: Int) -> Tensor? {
    guard options.repetitionPenalty != 1 else { return nil }
    var mask = [Bool](repeating: false, count: count)
    for token in tokens where token < count { mask[token] = true }
    return Tensor(mask, shape: [1, count])
  }
}
