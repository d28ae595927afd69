import WidebandCheckedInput
import WidebandTorch

/// The tokens that may be sampled, for logits that have more: a head may be padded, and a vocabulary may have gaps.
///
/// The logits of other tokens are removed before anything is computed from them, so that no sampling method, on the CPU
/// or in a CUDA graph, can select them.
final class AllowedTokens {
  /// The number of logits, from token 0 on, that contain all allowed tokens.
  let count: Int
  /// The allowed tokens in ascending order, `[A]` of int64; nil for all below `count`.
  private let ids: Tensor?

  /// All tokens from 0 to `count` - 1.
  init(below count: Int) {
    self.count = count
    ids = nil
  }

  /// Some tokens, in ascending order.
  convenience init(_ tokens: [TokenID]) {
    let count = Int(tokens.last ?? -1) + 1
    self.init(count: count, ids: count == tokens.count ? nil : Tensor(tokens.map(Int64.init)))
  }

  private init(count: Int, ids: Tensor?) { (self.count, self.ids) = (count, ids) }

  /// The same tokens with their ids on a device.
  func moved(to device: Device) -> AllowedTokens { AllowedTokens(count: count, ids: ids?.to(device)) }

  /// The logits `[..., A]` of the allowed tokens, from `[..., V]` on the same device.
  func slice(_ logits: Tensor) -> Tensor {
    let first = logits.slice(-1, 0..<count)
    return ids.map { first.indexSelect($0, axis: -1) } ?? first
  }

  /// The tokens at indices into the allowed ones; negative indices stay as they are.
  func tokens(at indices: Tensor) -> Tensor {
    guard let ids else { return indices }
    let isNone = indices .< 0
    return ids.indexSelect(indices.maskedFill(isNone, 0)).maskedFill(isNone, -1)
  }

  /// A distribution over the allowed tokens `[A]` as one over all tokens, with 0 for the others.
  func scatter(_ distribution: Tensor) -> Tensor {
    guard let ids else { return distribution }
    let all = Tensor.zeros([count], distribution.dtype)
    all.indexCopy(ids, from: distribution)
    return all
  }
}
