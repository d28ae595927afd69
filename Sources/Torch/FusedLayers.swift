import CTorch

/// The parts of a transformer layer that have a fused form on the processor; each gives nil where it does not.
extension Tensor {
  private static func areFusible(_ tensors: Tensor...) -> Bool { areFusible(tensors) }

  private static func areFusible(_ tensors: [Tensor]) -> Bool {
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

  /// For each row of x `[N, D]` the sum of what its chosen experts `[N, k]` make of it, times their shares `[N, k]`.
  ///
  /// An expert is a SwiGLU; `matrices` has the three of each expert one after the other: gate, up `[F, D]` and down
  /// `[D, F]`.
  public func fusedExperts(_ matrices: [WeightMatrix], shares: Tensor, chosen: Tensor) -> Tensor? {
    guard matrices.allSatisfy({ $0.adapter == nil }), Self.areFusible([self, shares] + matrices.map(\.values)),
      let pointer, let parts = shares.pointer,
      let experts = chosen.pointer
    else { return nil }
    return withExtendedLifetime(matrices) {
      Tensor(
        result: wb_experts(pointer, parts, experts, matrices.map(\.values.pointer), Int32(matrices.count / 3)),
        of: "experts(\(dtype)\(shape), \(shares.shape), \(chosen.dtype)\(chosen.shape), \(matrices.count / 3))")
    }
  }

  /// cos and sin `[1, T, 1, hd]` of the rotary angles of a few integer positions `[T]`: channels c and c + hd/2 turn by
  /// position · theta^(-2c/hd).
  public static func fusedRotaryTables(_ positions: Tensor, headSize: Int, theta: Double) -> (cos: Tensor, sin: Tensor)?
  {
    guard Kernels.selected == .fused, !RecordedWork.isRecording, positions.rank == 1,
      positions.count <= Kernels.mostStepPositions,
      positions.dtype == .int64, positions.device == .cpu, headSize.isMultiple(of: 2), let pointer = positions.pointer
    else { return nil }
    var (cosine, sine): (OpaquePointer?, OpaquePointer?)
    guard wb_rotary_tables(pointer, Int64(headSize), theta, &cosine, &sine) else { return nil }
    return (Tensor(owning: cosine), Tensor(owning: sine))
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

  /// The first of the places where each row of `[R, V]` is largest, `[R]` of int64; -1 for a row that is not finite.
  public var fusedLargest: Tensor? {
    guard Self.areFusible(self), !RecordedWork.isRecording, let pointer else { return nil }
    return Tensor(result: wb_largest(pointer), of: "largest(\(dtype)\(shape))")
  }

  /// One place drawn from each row of logits `[R, V]`, `[R]` of int64: the first at which the running sum of what the
  /// filters leave of the probabilities is beyond the row's number; -1 for a row that is not finite.
  ///
  /// - Parameters:
  ///   - numbers: from 0 below 1, `[R, 1]` in float64.
  ///   - seen: the tokens, `[R, V]`, whose logits the repetition penalty divides, or multiplies below zero.
  ///   - topK: how many of the largest stay, with all equal to the last of them.
  ///   - topP: of what share of the probability the fewest stay, with all equal to the last of them.
  ///   - minP: from what share of the largest probability on one stays.
  public func fusedDraw(
    by numbers: Tensor, seen: Tensor?, repetitionPenalty: Double, temperature: Double, topK: Int?, topP: Double,
    minP: Double
  ) -> Tensor? {
    guard Self.areFusible(self), !RecordedWork.isRecording, let pointer, let drawn = numbers.pointer else { return nil }
    return Tensor(
      result: wb_draw(
        pointer, drawn, seen?.pointer, temperature, Int64(topK ?? 0), topP, minP, seen == nil ? 1 : repetitionPenalty),
      of: "draw(\(dtype)\(shape), \(numbers.shape))")
  }

  /// `causalAttention` in a kernel, with derivatives only where S = T; nil where there is none.
  ///
  /// The kernel goes over whole rows of scores, so that it is for sequences of up to 4,096.
  public static func fusedCausalAttention(_ query: Tensor, _ key: Tensor, _ value: Tensor) -> Tensor? {
    guard areFusible(query, key, value), key.size(1) <= 4096, let q = query.pointer, let k = key.pointer,
      let v = value.pointer
    else { return nil }
    return Tensor(
      result: wb_attention(q, k, v), of: "attention(\(query.dtype)\(query.shape), \(key.shape), \(value.shape))")
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
