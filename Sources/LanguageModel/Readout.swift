import Torch
import VirtualWidth

/// The state after the last layer to what the output head sees: reduce to backbone width, then the final norm.
struct Readout {
  private let reduce: Reduce?
  private let norm: Tensor
  private let epsilon: Double

  /// The readout whose weights lie in `scope` ("model" or one prediction depth).
  init(_ configuration: ModelConfiguration, start: InitialValues, in scope: Scope) throws {
    let D = configuration.hiddenSize
    epsilon = configuration.normEpsilon
    reduce = try configuration.virtualWidth.map {
      try Reduce($0, hiddenSize: D, epsilon: configuration.normEpsilon, start: start, in: scope)
    }
    norm = try scope["norm"].precise("weight", [D], .ones)
  }

  /// `[B, T, n, C]` to `[B, T, D]`.
  func callAsFunction(_ state: Tensor) -> Tensor {
    (reduce?(state) ?? state.flattened(-2)).rmsNorm(norm, epsilon: epsilon)
  }
}
