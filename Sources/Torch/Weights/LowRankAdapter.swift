/// A LoRA adapter of a frozen weight W `[out, in]`: W + s B A, with A `[r, in]` and B `[out, r]`.
///
/// Source: LoRA, arXiv 2106.09685, equation 3.
public struct LowRankAdapter {
  /// A `[r, in]`.
  public let down: Tensor
  /// B `[out, r]`.
  public let up: Tensor
  /// s: the factor of the product B A.
  public let scale: Double

  /// The adapter with matrices A and B and scale s.
  public init(down: Tensor, up: Tensor, scale: Double) {
    self.down = down
    self.up = up
    self.scale = scale
  }

  /// W + s B A, computed in float32; in the weight's dtype unless another is given.
  func fused(into weight: Tensor, as dtype: DType? = nil) -> Tensor {
    withoutGradients {
      let sum = weight.to(.float32) + up.to(.float32).matmul(down.to(.float32)) * scale
      return sum.to(dtype ?? weight.dtype)
    }
  }
}

/// The LoRA adapters of a weight store's matrices.
///
/// They are stored in a weight store of their own, named after the matrix: `q_proj.weight` has `q_proj.lora_A.weight`
/// and `q_proj.lora_B.weight`.
public struct LowRankAdapters {
  /// A and B of every adapted matrix that a module has requested.
  public let weights: WeightStore
  /// r: the rank of all adapters.
  public let rank: Int
  /// s: the scale of all adapters.
  public let scale: Double

  private let adapts: (String) -> Bool

  /// Adapters of rank r and scale s.
  ///
  /// - Parameters:
  ///   - weights: the store that initializes or loads A and B.
  ///   - adapts: whether the module of a name, such as "model.layers.0.self_attn.q_proj", has an adapter.
  public init(rank: Int, scale: Double, weights: WeightStore, adapts: @escaping (String) -> Bool) {
    self.rank = rank
    self.scale = scale
    self.weights = weights
    self.adapts = adapts
  }

  /// The adapter of the matrix `name` `[outputs, inputs]`; nil if it has none.
  ///
  /// A newly initialized adapter changes nothing: A is uniform in ±1/√in and B is zero.
  func adapter(of name: String, _ outputs: Int, _ inputs: Int) throws -> LowRankAdapter? {
    guard name.hasSuffix(Self.weight) else { return nil }
    let module = String(name.dropLast(Self.weight.count))
    guard adapts(module) else { return nil }
    let (scope, bound) = (weights.root[module], 1 / Double(inputs).squareRoot())
    return LowRankAdapter(
      down: try scope.tensor(
        "lora_A.weight", [rank, inputs],
        .computed { [rank] in .uniform([rank, inputs], in: -bound..<bound, from: $0) }),
      up: try scope.tensor("lora_B.weight", [outputs, rank], .zeros), scale: scale)
  }

  private static let weight = ".weight"
}

extension WeightStore {
  /// All weights in order, with adapters merged and quantized matrices dequantized. Matrices that this changes are
  /// converted to `dtype`, if given.
  ///
  /// - Throws: the first error of an operator.
  public func fused(as dtype: DType? = nil) throws -> [(name: String, tensor: Tensor)] {
    let scales = scaleNames
    return try tensors.filter { !scales.contains($0.key) }.map { name, tensor in
      guard let matrix = matrices[name], matrix.adapter != nil || matrix.scales != nil else { return (name, tensor) }
      return try withTorch {
        let floats = matrix.floats
        return (name, matrix.adapter?.fused(into: floats, as: dtype) ?? floats.to(dtype ?? floats.dtype))
      }
    }
  }
}
