import WidebandTorch

/// The state after a hyper-connection around `sublayer`, computed term by term from the equations, in the state's
/// dtype.
///
/// An independent implementation for float64 that shares no code with the one under test: coefficients are not
/// concatenated, the norm is written out, and every product names its axes. State `[N, n, C]`; weights by their names
/// in a checkpoint.
public func referenceConnection(
  _ state: Tensor, _ weights: [String: Tensor], epsilon: Double, around sublayer: (Tensor) -> Tensor
) -> Tensor {
  let (m, C) = (weights["static_beta"]?.size(1) ?? 0, state.size(2))
  let readCarry = coefficients(state, weights, "alpha", epsilon: epsilon)
  let write = coefficients(state, weights, "beta", epsilon: epsilon)
  let read = Tensor.einsum("tjk,tjc->tkc", readCarry.slice(2, 0..<m), state)
  let carried = Tensor.einsum("tjk,tjc->tkc", readCarry.slice(2, m...), state)
  let output = sublayer(read.reshaped(state.size(0), m * C)).reshaped(state.size(0), m, C)
  return Tensor.einsum("tjs,tsc->tjc", write, output) + carried
}

/// The coefficients, one row per slot: `[N, n, columns]`.
private func coefficients(_ state: Tensor, _ weights: [String: Tensor], _ name: String, epsilon: Double) -> Tensor {
  guard let constants = weights["static_\(name)"] else { return state }
  let repeated = constants.unsqueezed(0).expanded([state.size(0), -1, -1])
  guard let map = weights["dynamic_\(name)"], let scale = weights["\(name)_scale"], let gain = weights["norm.weight"]
  else { return repeated }
  let meanSquare = (state * state).mean(-1, keep: true)
  let normal = state / (meanSquare + epsilon).squareRoot() * gain
  let projected = Tensor.einsum("tjc,kc->tjk", normal, map) / Double(state.size(2)).squareRoot()
  return repeated + scale * projected.tanh()
}
