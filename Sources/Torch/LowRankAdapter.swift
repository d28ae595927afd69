/// What is trained beside a weight `[out, in]` that stays as it is: W + s B A, with A `[r, in]` and B `[out, r]`.
///
/// Source: LoRA, arXiv 2106.09685, equation 3.
public struct LowRankAdapter {
  /// A, `[r, in]`.
  public let down: Tensor
  /// B, `[out, r]`.
  public let up: Tensor
  /// s.
  public let scale: Double

  /// An adapter of A, B and s.
  public init(down: Tensor, up: Tensor, scale: Double) {
    self.down = down
    self.up = up
    self.scale = scale
  }

  /// The weight with what the adapter adds, formed in float32, in the weight's dtype or another.
  func fused(into weight: Tensor, as dtype: DType? = nil) -> Tensor {
    withoutGradients {
      let sum = weight.to(.float32) + up.to(.float32).matmul(down.to(.float32)) * scale
      return sum.to(dtype ?? weight.dtype)
    }
  }
}

/// The adapters of some of a store's matrices.
///
/// They are weights of a store of their own, named after the matrix: `q_proj.weight` has `q_proj.lora_A.weight` and
/// `q_proj.lora_B.weight`.
public struct LowRankAdapters {
  /// A and B of every adapted matrix that a module has asked for.
  public let weights: WeightStore
  /// r.
  public let rank: Int
  /// s.
  public let scale: Double

  private let adapts: (String) -> Bool

  /// Adapters of rank r whose product is scaled by s, made or loaded by a store, for the matrices of which `adapts` is
  /// true, by the name of their module.
  public init(rank: Int, scale: Double, weights: WeightStore, adapts: @escaping (String) -> Bool) {
    self.rank = rank
    self.scale = scale
    self.weights = weights
    self.adapts = adapts
  }

  /// The adapter of the matrix `name`, `[outputs, inputs]`; nil for one that has none.
  ///
  /// A fresh one changes nothing: A is uniform within ±1/√in and B is zero.
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
  /// Every weight by name and in order, with what adapters add; those that change in `dtype` where they do not keep their
  /// own, and whole numbers as floats.
  public func fused(as dtype: DType? = nil) throws -> [(name: String, tensor: Tensor)] {
    let scales = Set(matrices.filter { $0.value.scales != nil }.keys.map(WeightMatrix.scalesName(of:)))
    return try tensors.filter { !scales.contains($0.key) }.map { name, tensor in
      guard let matrix = matrices[name], matrix.adapter != nil || matrix.scales != nil else { return (name, tensor) }
      return try withTorch {
        let floats = matrix.floats
        return (name, matrix.adapter?.fused(into: floats, as: dtype) ?? floats.to(dtype ?? floats.dtype))
      }
    }
  }
}
