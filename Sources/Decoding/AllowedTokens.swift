import Torch

/// The tokens that may be chosen, for logits that have more: a head may be padded, and a vocabulary may have holes.
///
/// What is not allowed is cut out of the logits before anything is computed of them, so that no way of choosing, greedy
/// or drawn, on the processor or in a recorded step, can come upon it.
final class AllowedTokens {
  /// Logits from 0 that are looked at.
  let count: Int
  /// The allowed ones among them in ascending order, `[A]` of int64; nil where all are.
  private let ids: Tensor?

  /// All tokens from 0 to `count` - 1.
  init(below count: Int) {
    self.count = count
    ids = nil
  }

  /// Some tokens, in ascending order.
  convenience init(_ tokens: [Int]) {
    let count = (tokens.last ?? -1) + 1
    self.init(count: count, ids: count == tokens.count ? nil : Tensor(tokens.map(Int64.init)))
  }

  private init(count: Int, ids: Tensor?) { (self.count, self.ids) = (count, ids) }

  /// The same with its memory on a device.
  func moved(to device: Device) -> AllowedTokens { AllowedTokens(count: count, ids: ids?.to(device)) }

  /// The allowed tokens' part of `[..., V]`, which lies on the same device.
  func part(of logits: Tensor) -> Tensor {
    let first = logits.slice(-1, 0..<count)
    return ids.map { first.rows($0, axis: -1) } ?? first
  }

  /// The tokens at places of that part; what is below 0 stays as it is.
  func tokens(at places: Tensor) -> Tensor {
    guard let ids else { return places }
    let isNone = places .< 0
    return ids.rows(places.masked(isNone, 0)).masked(isNone, -1)
  }

  /// A distribution over the part `[A]` as one over tokens, with 0 for those that are not allowed.
  func spread(_ distribution: Tensor) -> Tensor {
    guard let ids else { return distribution }
    let all = Tensor.zeros([count], distribution.dtype)
    all.copyRows(ids, from: distribution)
    return all
  }
}
