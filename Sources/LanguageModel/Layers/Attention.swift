import WidebandTorch
import WidebandVirtualWidth

/// Causal grouped-query attention with RMS-normalized queries and keys, as in Qwen3.
struct Attention: Sublayer {
  private let weights: AttentionWeights
  /// The index of the layer's keys and values in a KV cache; prediction depths follow the model's own layers.
  private let layer: Int

  /// The attention with its weights in `scope` ("self_attn"), after a norm with weights `norm` `[D]`.
  init(
    _ configuration: ModelConfiguration, norm: Tensor, layer: Int, start: InitialValues, in scope: Scope
  ) throws {
    let D = configuration.hiddenSize
    let headSize = configuration.headSize
    let queries = configuration.headCount * headSize
    let keys = configuration.keyValueHeadCount * headSize
    let query = try scope["q_proj"].matrix("weight", queries, D, start.linear(inputs: D))
    let key = try scope["k_proj"].matrix("weight", keys, D, start.linear(inputs: D))
    let value = try scope["v_proj"].matrix("weight", keys, D, start.linear(inputs: D))
    let output = try scope["o_proj"].matrix("weight", D, queries, start.linear(inputs: queries))
    let queryNorm = try scope["q_norm"].float32Tensor("weight", [headSize], .ones)
    let keyNorm = try scope["k_norm"].float32Tensor("weight", [headSize], .ones)
    weights = AttentionWeights(
      norm: norm, headNorms: (queryNorm, keyNorm), query: query, key: key, value: value, output: output,
      headSize: headSize, epsilon: configuration.normEpsilon)
    self.layer = layer
  }

  func callAsFunction(_ x: Tensor, in context: ForwardContext) -> Tensor {
    if let output = step(x, addsInput: false, in: context) { return output }
    let x = x.rmsNorm(weights.norm, epsilon: weights.epsilon)
    let heads = [x.size(0), x.size(1), -1, weights.headSize]
    let q = rotated(x.linear(weights.query).reshaped(heads), weights.headNorms.query, in: context)
    let k = rotated(x.linear(weights.key).reshaped(heads), weights.headNorms.key, in: context)
    return attention(q, k, x.linear(weights.value).reshaped(heads), in: context).flattened(-2).linear(weights.output)
  }

  func step(_ x: Tensor, addsInput: Bool, in context: ForwardContext) -> Tensor? {
    guard let cache = context.cache, x.size(0) == 1 else { return nil }
    return x.attentionSublayer(weights, rotary: context.rotary, addsInput: addsInput) {
      cache.reservePositions(
        layer: layer, count: x.size(1), heads: weights.keyValueHeadCount, headSize: weights.headSize, like: x)
    }
  }

  /// softmax(q kᵀ / √hd) v, `[B, T, H, hd]`, for queries `[B, T, H, hd]` and keys and values `[B, T, K, hd]`.
  private func attention(_ q: Tensor, _ k: Tensor, _ v: Tensor, in context: ForwardContext) -> Tensor {
    if let cache = context.cache { return cache.attend(layer: layer, queries: q, keys: k, values: v) }
    guard let mask = context.mask else { return .causalAttention(q, k, v) }
    return .attention(q.transposed(1, 2), k.transposed(1, 2), v.transposed(1, 2), mask: mask).transposed(1, 2)
  }

  /// Heads `[B, T, H, hd]`, each normalized and rotated by the angles of its position (RoPE).
  private func rotated(_ heads: Tensor, _ norm: Tensor, in context: ForwardContext) -> Tensor {
    let (cosine, sine) = context.rotary
    return heads.fusedQKNormRoPE(norm, cosine: cosine, sine: sine, epsilon: weights.epsilon)
      ?? Rotary.rotate(heads.rmsNorm(norm, epsilon: weights.epsilon), context.rotary)
  }
}
