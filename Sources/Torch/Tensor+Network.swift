import CTorch

/// Products, normalisations, attention and losses.
extension Tensor {
  private static let matmulOperator = Operator("matmul")
  private static let linearOperator = Operator("linear")
  private static let einsumOperator = Operator("einsum")
  private static let attentionOperator = Operator("scaled_dot_product_attention")
  private static let crossEntropyOperator = Operator("cross_entropy_loss")

  /// The matrix product over the last two axes, broadcast over the others.
  public func matmul(_ other: Tensor) -> Tensor { Self.matmulOperator(.tensor(self), .tensor(other)) }

  /// x Wᵀ through libtorch's own operator, for x `[..., in]` and weight `[out, in]`, which is cast to x's dtype.
  func linear(composed weight: Tensor) -> Tensor { Self.linearOperator(.tensor(self), .tensor(weight.to(dtype))) }

  /// Products and sums over named axes, as in `"bqhd,bkhd->bhqk"`.
  public static func einsum(_ equation: String, _ operands: Tensor...) -> Tensor {
    einsumOperator(.string(equation), .tensors(operands))
  }

  /// x `[..., d]` scaled to unit root-mean-square over the last axis, times weight `[d]`; computed in float32.
  public func rmsNorm(_ weight: Tensor, epsilon: Double) -> Tensor {
    guard let pointer, let gain = weight.pointer else {
      ErrorScope.current.recordEarlierFailure()
      return .empty
    }
    return Tensor(
      result: wb_rms_norm(pointer, gain, epsilon), of: "rms_norm(\(dtype)\(shape), \(weight.dtype)\(weight.shape))")
  }

  /// x `[..., d]` normalised to zero mean and unit variance in `groups` runs of channels, then affine; in float32.
  public func groupNorm(groups: Int, weight: Tensor, bias: Tensor, epsilon: Double) -> Tensor {
    guard let pointer, let gain = weight.pointer, let offset = bias.pointer else {
      ErrorScope.current.recordEarlierFailure()
      return .empty
    }
    return Tensor(
      result: wb_group_norm(pointer, Int64(groups), gain, offset, epsilon),
      of: "group_norm(\(dtype)\(shape), \(groups), \(weight.dtype)\(weight.shape), \(bias.dtype)\(bias.shape))")
  }

  /// softmax(q kᵀ / √hd) v for q `[B, H, Q, hd]`, k and v `[B, K, S, hd]` with K dividing H.
  ///
  /// - Parameters:
  ///   - mask: `[.., Q, S]`, true where a query may look; nil for all.
  ///   - causal: query i sees keys up to i; only for Q = S and without a mask.
  public static func attention(
    _ query: Tensor, _ key: Tensor, _ value: Tensor, mask: Tensor? = nil, causal: Bool = false
  ) -> Tensor {
    attentionOperator(
      .tensor(query), .tensor(key), .tensor(value), .optional(mask), .double(0), .bool(causal), .none,
      .bool(query.size(1) != key.size(1)))
  }

  /// softmax(q kᵀ / √hd) v `[B, T, H, hd]` for queries q `[B, T, H, hd]`, the last of S positions, each of which sees the
  /// keys up to its own position, and k and v `[B, S, K, hd]` with K dividing H.
  public static func causalAttention(_ query: Tensor, _ key: Tensor, _ value: Tensor) -> Tensor {
    if let fused = fusedCausalAttention(query, key, value) { return fused }
    let (q, k, v) = (query.transposed(1, 2), key.transposed(1, 2), value.transposed(1, 2))
    let (length, all) = (query.size(1), key.size(1))
    // A single query comes after all keys.
    guard all > length, length > 1 else { return attention(q, k, v, causal: length > 1).transposed(1, 2) }
    let positions = Tensor.range(0..<all, on: query.device)
    let mask = positions.unsqueezed(0) .<= positions.slice(0, (all - length)...).unsqueezed(1)
    return attention(q, k, v, mask: mask).transposed(1, 2)
  }

  /// The mean over rows of -log softmax(logits `[N, V]`)[target `[N]`], leaving out rows whose target is `ignoring`; 0
  /// if that is all of them.
  public func crossEntropy(_ targets: Tensor, ignoring: Int = -100) -> Tensor {
    let counted = (targets .== ignoring).not().sum().to(.float32)
    return crossEntropy(targets, ignoring: ignoring, reduction: 2) / (counted + (counted .== 0).to(.float32))
  }

  /// The same for each row, `[N]`; 0 where the target is `ignoring`.
  public func crossEntropies(_ targets: Tensor, ignoring: Int = -100) -> Tensor {
    crossEntropy(targets, ignoring: ignoring, reduction: 0)
  }

  private func crossEntropy(_ targets: Tensor, ignoring: Int, reduction: Int) -> Tensor {
    Self.crossEntropyOperator(
      .tensor(to(.float32)), .tensor(targets), .none, .int(reduction), .int(ignoring))
  }

  /// KL(p ‖ q) of each row, `[N]`, for p = softmax(known `[N, V]`) and q = softmax(self), in float32.
  public func divergences(from known: Tensor) -> Tensor {
    let expected = known.to(.float32).logSoftmax(-1)
    return (expected.exp() * (expected - to(.float32).logSoftmax(-1))).sum(-1)
  }
}
