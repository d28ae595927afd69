import CTorch

/// The parts of a transformer layer that have a fused form on the processor; each gives nil where it does not.
extension Tensor {
  private static func areFusible(_ tensors: Tensor...) -> Bool {
    Kernels.selected == .fused && tensors.allSatisfy { $0.pointer.map(wb_is_fusible) ?? false }
  }

  /// W_down (silu(W_gate x) ∘ W_up x) for x `[..., D]`, gate and up `[F, D]`, down `[D, F]`.
  public func fusedSwiGLU(gate: WeightMatrix, up: WeightMatrix, down: WeightMatrix) -> Tensor? {
    guard Kernels.selected == .fused, let pointer, let open = gate.pointers, let wide = up.pointers,
      let narrow = down.pointers, wb_swiglu_is_supported(pointer, open, wide, narrow)
    else { return nil }
    return Tensor(
      result: wb_swiglu(pointer, open, wide, narrow),
      of: "swiglu(\(dtype)\(shape), \(gate.description), \(up.description), \(down.description))")
  }

  /// x `[B, T, H, hd]` scaled to unit root-mean-square over the last axis, times weight `[hd]`, turned by the angles
  /// whose cosines and sines are `[1 or B, T, 1, hd]`.
  public func fusedRotaryNorm(_ weight: Tensor, cosine: Tensor, sine: Tensor, epsilon: Double) -> Tensor? {
    guard Self.areFusible(self, weight, cosine, sine), let pointer, let gain = weight.pointer,
      let first = cosine.pointer, let second = sine.pointer
    else { return nil }
    return Tensor(
      result: wb_rotary_norm(pointer, gain, first, second, epsilon),
      of: "rotary_norm(\(dtype)\(shape), \(weight.shape), \(cosine.shape))")
  }

  /// The mean of -log softmax(head x)[target] over the rows of x `[..., D]` whose target is not negative, 0
  /// without any such row. Never holds all logits.
  public func fusedCrossEntropy(head: WeightMatrix, targets: Tensor) -> Tensor? {
    guard Self.areFusible(self), let pointer, let map = head.values.pointer, let wanted = targets.pointer,
      wb_is_readable_head(map)
    else { return nil }
    return Tensor(
      result: wb_cross_entropy(pointer, map, wanted),
      of: "cross_entropy(\(dtype)\(shape), \(head.values.shape), \(targets.dtype)\(targets.shape))")
  }
}
