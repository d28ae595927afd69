import Torch

/// The state after a hyper-connection around `sublayer`, slot by slot as the equations have it, in the state's dtype.
///
/// A second implementation for float64, that shares nothing with the one under test: it forms the coefficients with
/// one product a slot and adds up slots in loops. State `[N, n, C]`; the weights by their names in a checkpoint.
public func referenceConnection(
  _ state: Tensor, _ weights: [String: Tensor], epsilon: Double, around sublayer: (Tensor) -> Tensor
) -> Tensor {
  let slots = (0..<state.size(1)).map { state.select(1, $0) }
  let m = weights["static_beta"]?.size(1) ?? 0
  let alpha = coefficients(slots, weights, "alpha", epsilon: epsilon)
  let beta = coefficients(slots, weights, "beta", epsilon: epsilon)
  func mixed(_ column: Int) -> Tensor {
    sum(slots.indices.map { alpha[$0].slice(-1, column..<(column + 1)) * slots[$0] })
  }
  let output = sublayer(.concatenate((0..<m).map(mixed), axis: -1))
  let segments = output.split(Array(repeating: state.size(2), count: m))
  return .stack(
    slots.indices.map { slot in
      sum(segments.indices.map { beta[slot].slice(-1, $0..<($0 + 1)) * segments[$0] } + [mixed(m + slot)])
    }, axis: 1)
}

/// One row of coefficients a slot, `[N or 1, columns]`.
private func coefficients(
  _ slots: [Tensor], _ weights: [String: Tensor], _ name: String, epsilon: Double
) -> [Tensor] {
  guard let constants = weights["static_\(name)"] else { return [] }
  return slots.indices.map { index in
    let constant = constants.slice(0, index..<(index + 1))
    guard let map = weights["dynamic_\(name)"], let scale = weights["\(name)_scale"], let gain = weights["norm.weight"]
    else { return constant }
    let slot = slots[index]
    let meanSquare = (slot * slot).mean(-1, keep: true)
    let normal = slot / (meanSquare + epsilon).squareRoot() * gain
    let temperature = Double(slot.size(-1)).squareRoot()
    return constant + scale.slice(0, index..<(index + 1)) * (normal.matmul(map.transposed()) / temperature).tanh()
  }
}

private func sum(_ terms: [Tensor]) -> Tensor { terms.dropFirst().reduce(terms[0]) { $0 + $1 } }
