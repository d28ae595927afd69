import Torch
import VirtualWidth

/// Causal grouped-query attention with RMS-normalised queries and keys, as in Qwen3.
public struct Attention {
  private let query: WeightMatrix
  private let key: WeightMatrix
  private let value: WeightMatrix
  private let output: WeightMatrix
  private let queryNorm: Tensor
  private let keyNorm: Tensor
  private let headSize: Int
  private let epsilon: Double
  /// Which layer's keys and values these are; those of prediction depths follow the model's own layers.
  private let layer: Int

  /// The attention whose weights lie in `scope` ("self_attn").
  init(_ configuration: ModelConfiguration, layer: Int, start: InitialValues, in scope: Scope) throws {
    let D = configuration.hiddenSize
    headSize = configuration.headSize
    let queries = configuration.headCount * headSize
    let keys = configuration.keyValueHeadCount * headSize
    query = try scope["q_proj"].matrix("weight", queries, D, start.linear(inputs: D))
    key = try scope["k_proj"].matrix("weight", keys, D, start.linear(inputs: D))
    value = try scope["v_proj"].matrix("weight", keys, D, start.linear(inputs: D))
    output = try scope["o_proj"].matrix("weight", D, queries, start.linear(inputs: queries))
    queryNorm = try scope["q_norm"].tensor("weight", [headSize], .ones)
    keyNorm = try scope["k_norm"].tensor("weight", [headSize], .ones)
    epsilon = configuration.normEpsilon
    self.layer = layer
  }

  /// `[B, T, D]`, already normalised, to `[B, T, D]`.
  func callAsFunction(_ x: Tensor, in pass: Pass) -> Tensor {
    let heads = [x.size(0), x.size(1), -1, headSize]
    let q = turned(x.linear(query).reshaped(heads), queryNorm, in: pass)
    let k = turned(x.linear(key).reshaped(heads), keyNorm, in: pass).transposed(1, 2)
    let v = x.linear(value).reshaped(heads).transposed(1, 2)
    let attended =
      if let memory = pass.memory {
        memory.attend(layer: layer, queries: q.transposed(1, 2), keys: k, values: v, mask: pass.mask)
      } else {
        Tensor.attention(q.transposed(1, 2), k, v, mask: pass.mask, causal: pass.mask == nil)
      }
    return attended.transposed(1, 2).flattened(-2).linear(output)
  }

  /// Heads `[B, T, H, hd]`, each normalised and turned by the angles of its position.
  private func turned(_ heads: Tensor, _ norm: Tensor, in pass: Pass) -> Tensor {
    let (cosine, sine) = pass.rotary
    return heads.fusedRotaryNorm(norm, cosine: cosine, sine: sine, epsilon: epsilon)
      ?? Rotary.turn(heads.rmsNorm(norm, epsilon: epsilon), pass.rotary)
  }
}
