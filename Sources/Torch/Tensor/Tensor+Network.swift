import WidebandCTorch

/// Matrix products, normalization, attention and losses.
extension Tensor {
  private static let matmulOperator = Operator("matmul")
  private static let linearOperator = Operator("linear")
  private static let einsumOperator = Operator("einsum")
  private static let attentionOperator = Operator("scaled_dot_product_attention")
  private static let crossEntropyOperator = Operator("cross_entropy_loss")

  /// The matrix product over the last two axes, with broadcasting over the others.
  public func matmul(_ other: Tensor) -> Tensor { Self.matmulOperator(.tensor(self), .tensor(other)) }

  /// x Wᵀ by libtorch's operator for x `[..., in]` and a weight `[out, in]`, which is cast to x's dtype.
  func linear(composed weight: Tensor) -> Tensor { Self.linearOperator(.tensor(self), .tensor(weight.to(dtype))) }

  /// Einstein summation, as in `"bqhd,bkhd->bhqk"`.
  public static func einsum(_ equation: String, _ operands: Tensor...) -> Tensor {
    einsumOperator(.string(equation), .tensors(operands))
  }

  /// RMS norm over the last axis: x / √(mean(x²) + ε) ∘ weight, for x `[..., d]` and a weight `[d]`; computed in
  /// float32, returned in x's dtype.
  public func rmsNorm(_ weight: Tensor, epsilon: Double) -> Tensor {
    guard let pointer, let gain = weight.pointer else {
      ErrorScope.current.reportEarlierFailure()
      return .empty
    }
    return Tensor(
      result: wb_rms_norm(pointer, gain, epsilon), of: "rms_norm(\(dtype)\(shape), \(weight.dtype)\(weight.shape))")
  }

  /// Group norm over the last axis, for x `[..., d]` whose channels form `groups` contiguous groups: each group is
  /// normalized to zero mean and unit variance, then scaled by `weight` `[d]` and shifted by `bias` `[d]`; computed in
  /// float32, returned in x's dtype.
  public func groupNorm(groups: Int, weight: Tensor, bias: Tensor, epsilon: Double) -> Tensor {
    guard let pointer, let gain = weight.pointer, let offset = bias.pointer else {
      ErrorScope.current.reportEarlierFailure()
      return .empty
    }
    return Tensor(
      result: wb_group_norm(pointer, Int64(groups), gain, offset, epsilon),
      of: "group_norm(\(dtype)\(shape), \(groups), \(weight.dtype)\(weight.shape), \(bias.dtype)\(bias.shape))")
  }

  /// softmax(q kᵀ / √hd) v `[B, H, Q, hd]` for q `[B, H, Q, hd]`, k and v `[B, K, S, hd]`, with K dividing H.
  ///
  /// - Parameters:
  ///   - mask: `[.., Q, S]`, true where a query attends to a key; nil for all.
  ///   - causal: query i attends to keys 0 to i; only for Q = S and without a mask.
  public static func attention(
    _ query: Tensor, _ key: Tensor, _ value: Tensor, mask: Tensor? = nil, causal: Bool = false
  ) -> Tensor {
    attentionOperator(
      .tensor(query), .tensor(key), .tensor(value), .optional(mask), .double(0), .bool(causal), .none,
      .bool(query.size(1) != key.size(1)))
  }

  /// Causal attention softmax(q kᵀ / √hd) v `[B, T, H, hd]` for q `[B, T, H, hd]`, k and v `[B, S, K, hd]`, with K
  /// dividing H. The queries are the last T of S positions; each attends to the keys up to its own position.
  public static func causalAttention(_ query: Tensor, _ key: Tensor, _ value: Tensor) -> Tensor {
    if let fused = fusedCausalAttention(query, key, value) { return fused }
    let (q, k, v) = (query.transposed(1, 2), key.transposed(1, 2), value.transposed(1, 2))
    let (length, all) = (query.size(1), key.size(1))
    // A single query attends to all keys, so it needs no mask.
    guard all > length, length > 1 else { return attention(q, k, v, causal: length > 1).transposed(1, 2) }
    let positions = Tensor.range(0..<all, on: query.device)
    let mask = positions.unsqueezed(0) .<= positions.slice(0, (all - length)...).unsqueezed(1)
    return attention(q, k, v, mask: mask).transposed(1, 2)
  }

  /// Mean cross-entropy, in nats: -log softmax(logits `[N, V]`)[target `[N]`], averaged over the rows whose target is
  /// not -100; 0 without such rows. In float32.
  public func crossEntropy(_ targets: Tensor) -> Tensor {
    let counted = (targets .== -100).not().sum().to(.float32)
    return crossEntropy(targets, reduction: 2) / (counted + (counted .== 0).to(.float32))
  }

  /// Cross-entropy of each row `[N]`, in nats; 0 where the target is -100. In float32.
  public func crossEntropies(_ targets: Tensor) -> Tensor { crossEntropy(targets, reduction: 0) }

  private func crossEntropy(_ targets: Tensor, reduction: Int) -> Tensor {
    Self.crossEntropyOperator(.tensor(to(.float32)), .tensor(targets), .none, .int(reduction), .int(-100))
  }

  /// KL(p ‖ q) of each row `[N]`, in nats, for p = softmax(reference `[N, V]`) and q = softmax(self); in float32.
  public func divergences(from reference: Tensor) -> Tensor {
    let expected = reference.to(.float32).logSoftmax(-1)
    return (expected.exp() * (expected - to(.float32).logSoftmax(-1))).sum(-1)
  }
}
