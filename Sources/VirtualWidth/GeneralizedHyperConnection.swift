import Torch

/// A Generalized Hyper-Connection: a sublayer of width D reads from and writes to a state of n slots.
///
/// With the coefficients of a token, read A° `[n, m]`, carry Â `[n, n]` and write B `[m, n]`,
///
///     H' = Bᵀ T(A°ᵀ H) + Âᵀ H                     H, H' [n, C]
///
/// where the m rows of A°ᵀ H, side by side, are the D channels that the sublayer T sees. The static form learns the
/// coefficients as constants; the dynamic form adds a part predicted from each slot, see `DynamicCoefficients`.
///
/// Source: arXiv 2511.11238, equations 5, 6 and 9 to 12.
public struct GeneralizedHyperConnection: Connection {
  /// The read and carry constants, [A° | Â]: `[n, m+n]`.
  let staticAlpha: Tensor
  /// The write constants, Bᵀ: `[n, m]`.
  let staticBeta: Tensor
  let dynamic: DynamicCoefficients?

  private let fractionRate: Int
  private let epsilon: Double

  /// The connection whose weights lie in `scope`, for slots of C = `slotWidth` channels.
  public init(_ width: VirtualWidth, slotWidth: Int, epsilon: Double, in scope: Scope) throws {
    let (m, n) = (width.fractionRate, width.slots)
    fractionRate = m
    self.epsilon = epsilon
    staticAlpha = try scope.precise(
      "static_alpha", [n, m + n],
      .computed { _ in .concatenate([.identity(n, m), .identity(n, n)], axis: 1) })
    staticBeta = try scope.precise("static_beta", [n, m], .computed { _ in Self.cyclicWrite(m, n) })
    dynamic =
      width.connections == .dynamic
      ? try DynamicCoefficients(width, slotWidth: slotWidth, epsilon: epsilon, in: scope) : nil
  }

  /// The state `[B, T, n, C]` after the sublayer: in fused kernels where there are some for it, in tensor operators
  /// otherwise.
  public func callAsFunction(
    _ state: consuming State, adding _: (Tensor) -> Tensor?, around sublayer: (Tensor) -> Tensor
  ) -> State {
    if let fused = state.read(weights, epsilon: epsilon) {
      _ = consume state
      return State(fused.write(sublayer(fused.input)))
    }
    let state = state.tensor
    let (alpha, beta) = coefficients(of: state)
    let mixed = alpha.transposed().matmul(state)
    let output = sublayer(mixed.slice(-2, 0..<fractionRate).flattened(-2))
    let carry = mixed.slice(-2, fractionRate...)
    let segments = output.reshaped(Array(carry.shape.dropLast(2)) + [fractionRate, carry.size(-1)])
    return State(beta.matmul(segments) + carry)
  }

  private var weights: FusedConnection.Weights {
    .init(
      staticAlpha: staticAlpha, staticBeta: staticBeta, dynamicAlpha: dynamic?.alphaMap,
      dynamicBeta: dynamic?.betaMap, alphaScale: dynamic?.alphaScale, betaScale: dynamic?.betaScale,
      gain: dynamic?.norm)
  }

  /// The constants [A° | Â] `[n, m+n]` and Bᵀ `[n, m]`.
  public var constants: (alpha: Tensor, beta: Tensor) { (staticAlpha, staticBeta) }

  /// [A° | Â] `[B, T, n, m+n]` and Bᵀ `[B, T, n, m]` for every token of a state, in the state's dtype.
  ///
  /// A static connection gives the same coefficients to all tokens, without the first two axes.
  public func coefficients(of state: Tensor) -> (alpha: Tensor, beta: Tensor) {
    guard let dynamic else { return (staticAlpha.to(state.dtype), staticBeta.to(state.dtype)) }
    let all = dynamic.added(to: .concatenate([staticAlpha, staticBeta], axis: 1), from: state).to(state.dtype)
    let parts = all.split([staticAlpha.size(1), staticBeta.size(1)])
    return (parts[0], parts[1])
  }

  /// Bᵀ at the start: slot j receives segment j mod m.
  private static func cyclicWrite(_ m: Int, _ n: Int) -> Tensor {
    Tensor((0..<n).flatMap { slot in (0..<m).map { Float($0 == slot % m ? 1 : 0) } }, shape: [n, m])
  }
}
