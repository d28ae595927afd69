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

  /// The connection whose weights lie in `scope`, for slots of C = `slotWidth` channels.
  public init(_ width: VirtualWidth, slotWidth: Int, epsilon: Double, in scope: Scope) throws {
    let (m, n) = (width.fractionRate, width.slots)
    fractionRate = m
    staticAlpha = try scope.tensor(
      "static_alpha", [n, m + n],
      .computed { _ in .concatenate([.identity(n, m), .identity(n, n)], axis: 1) })
    staticBeta = try scope.tensor("static_beta", [n, m], .computed { _ in Self.cyclicWrite(m, n) })
    dynamic =
      width.connections == .dynamic
      ? try DynamicCoefficients(width, slotWidth: slotWidth, epsilon: epsilon, in: scope) : nil
  }

  public func callAsFunction(_ state: Tensor, around sublayer: (Tensor) -> Tensor) -> Tensor {
    let reading = read(state)
    return write(sublayer(reading.input), after: reading)
  }

  /// What a sublayer sees of a state, and what its output will meet.
  public struct Reading {
    /// A°ᵀ H, side by side: `[B, T, D]`.
    public let input: Tensor
    /// Âᵀ H: `[B, T, n, C]`.
    let carry: Tensor
    /// Bᵀ: `[B, T, n, m]`.
    let write: Tensor
  }

  /// The first half of a connection: mixes the slots of `state` `[B, T, n, C]`.
  public func read(_ state: Tensor) -> Reading {
    let (alpha, beta) = coefficients(of: state)
    let mixed = alpha.transposed().matmul(state)
    let m = fractionRate
    return Reading(
      input: mixed.slice(-2, 0..<m).flattened(-2), carry: mixed.slice(-2, m...), write: beta)
  }

  /// The second half: adds the sublayer's output `[B, T, D]` to the slots.
  public func write(_ output: Tensor, after reading: Reading) -> Tensor {
    let shape = reading.carry.shape
    let segments = output.reshaped(Array(shape.dropLast(2)) + [fractionRate, shape[shape.count - 1]])
    return reading.write.matmul(segments) + reading.carry
  }

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
