import WidebandTorch

/// The map of the state after the last layer to backbone width: h = W GroupNorm(H), D' → D.
///
/// The group norm is affine; its groups are D channels, m neighboring slots. There is none if r is not an integer.
/// Source: arXiv 2511.11238, equation 4 and algorithm 1.
public struct Reduce {
  private let weight: WeightMatrix
  private let norm: (weight: Tensor, bias: Tensor)?
  private let groups: Int
  private let epsilon: Double

  /// The reduce with its weights in `scope` ("model" or one prediction depth).
  public init(_ width: VirtualWidth, hiddenSize D: Int, epsilon: Double, start: InitialValues, in scope: Scope) throws {
    let wide = width.width(hiddenSize: D)
    weight = try scope["reduce"].matrix("weight", D, wide, start.reduce(wide: wide, hiddenSize: D))
    norm =
      width.hasGroupNorm
      ? (
        weight: try scope["reduce_norm"].float32Tensor("weight", [wide], .ones),
        bias: try scope["reduce_norm"].float32Tensor("bias", [wide], .zeros)
      ) : nil
    groups = wide / D
    self.epsilon = epsilon
  }

  /// `[B, T, n, C]` to `[B, T, D]`.
  public func callAsFunction(_ state: Tensor) -> Tensor {
    let flat = state.flattened(-2)
    guard let norm else { return flat.linear(weight) }
    return flat.groupNorm(groups: groups, weight: norm.weight, bias: norm.bias, epsilon: epsilon).linear(weight)
  }
}
