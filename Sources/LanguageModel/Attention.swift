import Torch
import VirtualWidth

/// Causal grouped-query attention with RMS-normalised queries and keys, as in Qwen3.
public struct Attention {
  private let weights: AttentionWeights
  /// Which layer's keys and values these are; those of prediction depths follow the model's own layers.
  private let layer: Int

  /// The attention whose weights lie in `scope` ("self_attn"), behind a norm with weights `norm` `[D]`.
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
    let queryNorm = try scope["q_norm"].precise("weight", [headSize], .ones)
    let keyNorm = try scope["k_norm"].precise("weight", [headSize], .ones)
    weights = AttentionWeights(
      norm: norm, headNorms: (queryNorm, keyNorm), query: query, key: key, value: value, output: output,
      headSize: headSize, epsilon: configuration.normEpsilon)
    self.layer = layer
  }

  /// `[B, T, D]` to `[B, T, D]`.
  func callAsFunction(_ x: Tensor, in pass: Pass) -> Tensor {
    if let attended = step(x, addsInput: false, in: pass) { return attended }
    let x = x.rmsNorm(weights.norm, epsilon: weights.epsilon)
    let heads = [x.size(0), x.size(1), -1, weights.headSize]
    let q = turned(x.linear(weights.query).reshaped(heads), weights.headNorms.query, in: pass)
    let k = turned(x.linear(weights.key).reshaped(heads), weights.headNorms.key, in: pass)
    return attended(q, k, x.linear(weights.value).reshaped(heads), in: pass).flattened(-2).linear(weights.output)
  }

  /// The same in one call for x `[1, T, …]` of a few positions, added to x if `addsInput`; nil where there is none.
  func step(_ x: Tensor, addsInput: Bool, in pass: Pass) -> Tensor? {
    guard let memory = pass.memory, x.size(0) == 1 else { return nil }
    return x.attentionStep(weights, rotary: pass.rotary, addsInput: addsInput) {
      memory.extended(
        layer: layer, by: x.size(1), heads: weights.keyValueHeadCount, headSize: weights.headSize, like: x)
    }
  }

  /// What queries `[B, T, H, hd]` take from values, `[B, T, H, hd]`; keys and values are `[B, T, K, hd]`.
  private func attended(_ q: Tensor, _ k: Tensor, _ v: Tensor, in pass: Pass) -> Tensor {
    if let memory = pass.memory { return memory.attend(layer: layer, queries: q, keys: k, values: v) }
    guard let mask = pass.mask else { return .causalAttention(q, k, v) }
    return .attention(q.transposed(1, 2), k.transposed(1, 2), v.transposed(1, 2), mask: mask).transposed(1, 2)
  }

  /// Heads `[B, T, H, hd]`, each normalised and turned by the angles of its position.
  private func turned(_ heads: Tensor, _ norm: Tensor, in pass: Pass) -> Tensor {
    let (cosine, sine) = pass.rotary
    return heads.fusedRotaryNorm(norm, cosine: cosine, sine: sine, epsilon: weights.epsilon)
      ?? Rotary.turn(heads.rmsNorm(norm, epsilon: weights.epsilon), pass.rotary)
  }
}
