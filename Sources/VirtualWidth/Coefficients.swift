import WidebandTorch

/// Read, carry and write coefficients of one connection, for every token of a state or as constants.
///
/// They are stored as checkpoints have them: read and carry in one table, write transposed.
public struct Coefficients {
  /// [A° | Â], `[B, T, n, m+n]`; `[n, m+n]` for constants.
  public let readCarry: Tensor
  /// Bᵀ, `[B, T, n, m]`; `[n, m]` for constants.
  public let writeTransposed: Tensor
  let fractionRate: Int

  /// A°, `[..., n, m]`: column i has the slots' weights in segment i of the sublayer's input.
  public var read: Tensor { readCarry.slice(-1, 0..<fractionRate) }
  /// Â, `[..., n, n]`: column j has the old slots' weights in new slot j.
  public var carry: Tensor { readCarry.slice(-1, fractionRate...) }
  /// B, `[..., m, n]`: column j has the weights of the output's segments in new slot j.
  public var write: Tensor { writeTransposed.transposed() }
  /// Read, carry and write.
  public var matrices: (read: Tensor, carry: Tensor, write: Tensor) { (read, carry, write) }
}

/// The part of a connection's coefficients that depends on the token.
///
/// Row j of A°, Â and Bᵀ is predicted from the C channels of slot j, with one map for all slots:
///
///     u = RMSNorm(H)                              per slot, over C
///     A(H)  = S_α ∘ tanh(u W_αᵀ / √C) + A
///     B(H)ᵀ = S_β ∘ tanh(u W_βᵀ / √C) + Bᵀ
///
/// The maps W start at zero and the scales S at one, so that a fresh dynamic connection equals the static one. The
/// computation is in float32, whatever the state's dtype. Source: arXiv 2511.11238, equations 9 to 11.
public struct DynamicCoefficients {
  let readCarryMap: Tensor
  let writeMap: Tensor
  let readCarryScale: Tensor
  let writeScale: Tensor
  let norm: Tensor
  private let epsilon: Double

  init(_ width: VirtualWidth, slotWidth C: Int, epsilon: Double, in scope: Scope) throws {
    let (m, n) = (width.fractionRate, width.slots)
    readCarryMap = try scope.float32Tensor("dynamic_alpha", [m + n, C], .zeros)
    writeMap = try scope.float32Tensor("dynamic_beta", [m, C], .zeros)
    readCarryScale = try scope.float32Tensor("alpha_scale", [n, m + n], .ones)
    writeScale = try scope.float32Tensor("beta_scale", [n, m], .ones)
    norm = try scope.float32Tensor("norm.weight", [C], .ones)
    self.epsilon = epsilon
  }

  /// Constants `[n, 2m+n]` (read, carry, write) plus the part predicted from a state `[B, T, n, C]`: `[B, T, n, 2m+n]`.
  func added(to constants: Tensor, from state: Tensor) -> Tensor {
    let normal = state.to(.float32).rmsNorm(norm, epsilon: epsilon)
    let temperature = 1 / Double(state.size(-1)).squareRoot()
    let map = Tensor.concatenate([readCarryMap, writeMap], axis: 0) * temperature
    let scale = Tensor.concatenate([readCarryScale, writeScale], axis: 1)
    return constants.addcmul(scale, normal.linear(map).tanh())
  }
}
