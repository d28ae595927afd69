import WidebandTorch

/// The map of the state after the last layer to backbone width: h = W Norm(H), D' → D.
///
/// The norm is over groups of D channels, m neighboring slots: a group norm with gain and bias, as published, or the root
/// mean square with a gain. There is none if r is not an integer. Source: arXiv 2511.11238, equation 4 and algorithm 1.
public struct Reduce {
  private enum Norm {
    case group(weight: Tensor, bias: Tensor)
    case rms(weight: Tensor)
    case none
  }

  private let weight: WeightMatrix
  private let norm: Norm
  private let groups: Int
  private let epsilon: Double

  /// The reduce with its weights in `scope` ("model" or one prediction depth).
  public init(_ width: VirtualWidth, hiddenSize D: Int, epsilon: Double, start: InitialValues, in scope: Scope) throws {
    let wide = width.width(hiddenSize: D)
    weight = try scope["reduce"].matrix("weight", D, wide, start.reduce(wide: wide, hiddenSize: D))
    let own = scope["reduce_norm"]
    norm =
      switch width.effectiveReduceNorm {
      case .group:
        .group(
          weight: try own.float32Tensor("weight", [wide], .ones), bias: try own.float32Tensor("bias", [wide], .zeros))
      case .rms: .rms(weight: try own.float32Tensor("weight", [wide], .ones))
      case .none: .none
      }
    groups = wide / D
    self.epsilon = epsilon
  }

  /// `[B, T, n, C]` to `[B, T, D]`.
  public func callAsFunction(_ state: Tensor) -> Tensor {
    let flat = state.flattened(-2)
    switch norm {
    case .group(let gain, let bias):
      return flat.groupNorm(groups: groups, weight: gain, bias: bias, epsilon: epsilon).linear(weight)
    case .rms(let gain):
      let runs = flat.to(.float32).reshaped(Array(flat.shape.dropLast()) + [groups, -1])
      let scaled = runs / ((runs * runs).mean(-1, keep: true) + epsilon).squareRoot()
      return (scaled.reshaped(flat.shape) * gain).to(flat.dtype).linear(weight)
    case .none: return flat.linear(weight)
    }
  }
}
