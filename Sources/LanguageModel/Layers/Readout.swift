import WidebandTorch
import WidebandVirtualWidth

/// The input of the output head from the state after the last layer: reduce to backbone width, then the final norm.
struct Readout {
  /// D' → D; nil without a virtual width.
  let reduce: Reduce?
  private let norm: Tensor
  private let epsilon: Double

  /// The readout with its weights in `scope` ("model" or one prediction depth).
  init(_ configuration: ModelConfiguration, start: InitialValues, in scope: Scope) throws {
    let D = configuration.hiddenSize
    epsilon = configuration.normEpsilon
    reduce = try configuration.virtualWidth.map {
      try Reduce($0, hiddenSize: D, epsilon: configuration.normEpsilon, start: start, in: scope)
    }
    norm = try scope["norm"].float32Tensor("weight", [D], .ones)
  }

  /// `[B, T, n, C]` to `[B, T, D]`.
  func callAsFunction(_ state: Tensor) -> Tensor {
    (reduce?(state) ?? state.flattened(-2)).rmsNorm(norm, epsilon: epsilon)
  }
}
