import WidebandTorch

/// The next-token loss and the number of bytes of each target of a batch.
struct TargetLosses {
  /// -log p(target) `[B, T]` in nats, in float64; 0 where the target is ignored.
  let losses: Tensor
  /// `[B, T]`, true where the target is -100.
  let isIgnored: Tensor
  /// The targets `[B, T]`, with 0 in place of -100.
  let targets: Tensor
  /// The number of bytes of the target's text `[B, T]`, in float64; 0 where the target is ignored.
  let bytes: Tensor
  /// 1 where the target has bytes, 0 elsewhere, `[B, T]` in float64.
  let hasBytes: Tensor

  /// - Parameters:
  ///   - logits: `[B, T, V]`.
  ///   - targets: `[B, T]`; -100 where nothing is to be predicted.
  ///   - byteLengths: the number of bytes of each token's text, `[V]`.
  init(logits: Tensor, targets: Tensor, byteLengths: Tensor) {
    isIgnored = targets .< 0
    self.targets = targets.maskedFill(isIgnored, 0)
    losses = -logits.logSoftmax(-1).gather(self.targets.unsqueezed(-1), axis: -1).squeezed(-1).to(.float64)
      .maskedFill(isIgnored, 0)
    bytes = byteLengths.indexSelect(self.targets.flattened()).reshaped(targets.shape).to(.float64)
      .maskedFill(isIgnored, 0)
    hasBytes = (bytes .> 0).to(.float64)
  }
}
