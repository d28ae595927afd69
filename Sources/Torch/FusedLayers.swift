import CTorch

/// The parts of a transformer layer that have a fused form on the processor; each gives nil where it does not.
extension Tensor {
  private static func areFusible(_ tensors: Tensor...) -> Bool {
    Kernels.selected == .fused && tensors.allSatisfy { $0.pointer.map(wb_is_fusible) ?? false }
  }

  /// W_down (silu(W_gate x) ∘ W_up x) for x `[..., D]`, gate and up `[F, D]`, down `[D, F]`.
  public func fusedSwiGLU(gate: Tensor, up: Tensor, down: Tensor) -> Tensor? {
    guard Self.areFusible(self, gate, up, down), let pointer, let open = gate.pointer, let wide = up.pointer,
      let narrow = down.pointer
    else { return nil }
    return Tensor(
      result: wb_swiglu(pointer, open, wide, narrow),
      of: "swiglu(\(dtype)\(shape), \(gate.shape), \(up.shape), \(down.shape))")
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
  public func fusedCrossEntropy(head: Tensor, targets: Tensor) -> Tensor? {
    guard Self.areFusible(self, head), let pointer, let map = head.pointer, let wanted = targets.pointer else {
      return nil
    }
    return Tensor(
      result: wb_cross_entropy(pointer, map, wanted),
      of: "cross_entropy(\(dtype)\(shape), \(head.shape), \(targets.dtype)\(targets.shape))")
  }
}
