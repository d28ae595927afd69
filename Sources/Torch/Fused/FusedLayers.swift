import WidebandCTorch

/// Operations of a transformer layer that have a fused kernel on the processor; each is nil where there is none.
extension Tensor {
  private static func areFusible(_ tensors: [Tensor]) -> Bool {
    Kernels.selected == .fused && tensors.allSatisfy { $0.pointer.map(wb_is_fusible) ?? false }
  }

  /// W_down (silu(W_gate x) ∘ W_up x) for x `[..., D]`, gate and up `[F, D]`, down `[D, F]`.
  public func fusedSwiGLU(gate: WeightMatrix, up: WeightMatrix, down: WeightMatrix) -> Tensor? {
    guard Kernels.selected == .fused, let pointer, let gatePointers = gate.pointers, let upPointers = up.pointers,
      let downPointers = down.pointers, wb_swiglu_is_supported(pointer, gatePointers, upPointers, downPointers)
    else { return nil }
    return Tensor(
      result: wb_swiglu(pointer, gatePointers, upPointers, downPointers),
      of: "swiglu(\(dtype)\(shape), \(gate.description), \(up.description), \(down.description))")
  }

  /// For each row of x `[N, D]` the sum of the outputs of its chosen experts `[N, k]`, weighted by `weights` `[N, k]`.
  ///
  /// An expert is a SwiGLU with three consecutive `matrices`: gate and up `[F, D]`, down `[D, F]`.
  public func fusedExperts(_ matrices: [WeightMatrix], weights: Tensor, chosen: Tensor) -> Tensor? {
    guard matrices.allSatisfy({ $0.adapter == nil }), Self.areFusible([self, weights] + matrices.map(\.values)),
      let pointer, let weightPointer = weights.pointer, let chosenPointer = chosen.pointer
    else { return nil }
    return withExtendedLifetime(matrices) {
      Tensor(
        result: wb_mixture_of_experts(
          pointer, weightPointer, chosenPointer, matrices.map(\.values.pointer), Int32(matrices.count / 3)),
        of: "experts(\(dtype)\(shape), \(weights.shape), \(chosen.dtype)\(chosen.shape), \(matrices.count / 3))")
    }
  }

  /// cos and sin `[1, T, 1, hd]` of the rotary angles of a few integer positions `[T]`: channels c and c + hd/2 rotate
  /// by position · theta^(-2c/hd).
  public static func fusedRotaryTables(_ positions: Tensor, headSize: Int, theta: Double) -> (cos: Tensor, sin: Tensor)?
  {
    guard Kernels.selected == .fused, !CUDAGraph.isCapturing, positions.rank == 1,
      positions.count <= Kernels.maximumStepPositions,
      positions.dtype == .int64, positions.device == .cpu, headSize.isMultiple(of: 2), let pointer = positions.pointer
    else { return nil }
    var (cosine, sine): (OpaquePointer?, OpaquePointer?)
    guard wb_rotary_tables(pointer, Int64(headSize), theta, &cosine, &sine) else { return nil }
    return (Tensor(owning: cosine), Tensor(owning: sine))
  }

  /// x `[B, T, H, hd]` scaled to unit root-mean-square over the last axis, times weight `[hd]`, rotated by the angles
  /// whose cosines and sines are `[1 or B, T, 1, hd]`.
  public func fusedQKNormRoPE(_ weight: Tensor, cosine: Tensor, sine: Tensor, epsilon: Double) -> Tensor? {
    guard Self.areFusible([self, weight, cosine, sine]), let pointer, let gain = weight.pointer,
      let first = cosine.pointer, let second = sine.pointer
    else { return nil }
    return Tensor(
      result: wb_qk_norm_rope(pointer, gain, first, second, epsilon),
      of: "qk_norm_rope(\(dtype)\(shape), \(weight.shape), \(cosine.shape))")
  }

  /// The index of the largest element of each row of `[R, V]`, the first of equals, `[R]` of int64; -1 for a row that is not
  /// finite.
  public var fusedArgmax: Tensor? {
    guard Self.areFusible([self]), !CUDAGraph.isCapturing, let pointer else { return nil }
    return Tensor(result: wb_argmax(pointer), of: "argmax(\(dtype)\(shape))")
  }

  /// One token sampled from each row of logits `[R, V]`, `[R]` of int64: the first at which the running sum of the
  /// probabilities that the filters leave exceeds the row's number; -1 for a row that is not finite.
  ///
  /// - Parameters:
  ///   - numbers: uniform from 0 below 1, `[R, 1]` in float64.
  ///   - seen: the tokens, `[R, V]`, whose logits the repetition penalty divides, or multiplies below zero.
  ///   - topK: how many of the largest remain, with all equal to the last of them.
  ///   - topP: the fewest most probable tokens with this total probability remain, with all equal to the last of them.
  ///   - minP: tokens with at least this fraction of the largest probability remain.
  public func fusedSample(
    by numbers: Tensor, seen: Tensor?, repetitionPenalty: Double, temperature: Double, topK: Int?, topP: Double,
    minP: Double
  ) -> Tensor? {
    guard Self.areFusible([self]), !CUDAGraph.isCapturing, let pointer, let uniform = numbers.pointer else {
      return nil
    }
    return Tensor(
      result: wb_sample(
        pointer, uniform, seen?.pointer, temperature, Int64(topK ?? 0), topP, minP, seen == nil ? 1 : repetitionPenalty),
      of: "sample(\(dtype)\(shape), \(numbers.shape))")
  }

  /// `causalAttention` in a kernel, with derivatives only where S = T; nil where there is none.
  ///
  /// The kernel holds whole rows of scores, so it is for sequences of at most 4,096.
  public static func fusedCausalAttention(_ query: Tensor, _ key: Tensor, _ value: Tensor) -> Tensor? {
    guard areFusible([query, key, value]), key.size(1) <= 4096, let q = query.pointer, let k = key.pointer,
      let v = value.pointer
    else { return nil }
    return Tensor(
      result: wb_causal_attention(q, k, v), of: "attention(\(query.dtype)\(query.shape), \(key.shape), \(value.shape))")
  }

  /// The mean of -log softmax(head x)[target] over the rows of x `[..., D]` whose target is not negative, 0 without such a
  /// row. All logits never exist at once.
  public func fusedCrossEntropy(head: WeightMatrix, targets: Tensor) -> Tensor? {
    guard Self.areFusible([self]), let pointer, let map = head.values.pointer, let wanted = targets.pointer,
      wb_is_readable_head(map)
    else { return nil }
    return Tensor(
      result: wb_cross_entropy(pointer, map, wanted),
      of: "cross_entropy(\(dtype)\(shape), \(head.values.shape), \(targets.dtype)\(targets.shape))")
  }
}
