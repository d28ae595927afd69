import Torch

/// The part of a connection's coefficients that depends on the token.
///
/// Row j of the read, carry and write coefficients is predicted from slot j's own C channels, with one map for all
/// slots:
///
///     u = RMSNorm(H)                              per slot, over C
///     A(H)  = S_α ∘ tanh(u W_αᵀ / √C) + A
///     B(H)ᵀ = S_β ∘ tanh(u W_βᵀ / √C) + Bᵀ
///
/// The maps W start at zero and the scales S at one, so that a fresh dynamic connection is the static one.
/// Computed in float32 whatever the state's dtype. Source: arXiv 2511.11238, equations 9 to 11.
public struct DynamicCoefficients {
  let alphaMap: Tensor
  let betaMap: Tensor
  let alphaScale: Tensor
  let betaScale: Tensor
  let norm: Tensor
  private let epsilon: Double

  init(_ width: VirtualWidth, slotWidth C: Int, epsilon: Double, in scope: Scope) throws {
    let (m, n) = (width.fractionRate, width.slots)
    alphaMap = try scope.precise("dynamic_alpha", [m + n, C], .zeros)
    betaMap = try scope.precise("dynamic_beta", [m, C], .zeros)
    alphaScale = try scope.precise("alpha_scale", [n, m + n], .ones)
    betaScale = try scope.precise("beta_scale", [n, m], .ones)
    norm = try scope.precise("norm.weight", [C], .ones)
    self.epsilon = epsilon
  }

  /// constants `[n, 2m+n]` (read | carry | write) plus what the state `[B, T, n, C]` predicts: `[B, T, n, 2m+n]`.
  func added(to constants: Tensor, from state: Tensor) -> Tensor {
    let normal = state.to(.float32).rmsNorm(norm, epsilon: epsilon)
    let temperature = 1 / Double(state.size(-1)).squareRoot()
    let map = Tensor.concatenate([alphaMap, betaMap], axis: 0) * temperature
    let scale = Tensor.concatenate([alphaScale, betaScale], axis: 1)
    return constants.addingProduct(scale, normal.linear(map).tanh())
  }
}
