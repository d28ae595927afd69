import WidebandTorch

/// ‖found − expected‖ / ‖expected‖ in float64; ‖found‖ if all expected elements are zero.
///
/// - Throws: `TorchError` if the shapes differ.
public func relativeError(of found: Tensor, to expected: Tensor) throws -> Double {
  guard found.shape == expected.shape else {
    throw TorchError("found shape \(found.shape): expected \(expected.shape)")
  }
  return try withTorch {
    try withoutGradients {
      let exact = expected.to(.float64)
      let distance = try (found.to(.float64) - exact).norm().item()
      let norm = try exact.norm().item()
      return norm == 0 ? distance : distance / norm
    }
  }
}

/// Whether two tensors have the same dtype, shape and bits.
public func areIdentical(_ a: Tensor, _ b: Tensor) throws -> Bool {
  guard a.dtype == b.dtype, a.shape == b.shape else { return false }
  return try a.withContiguousBytes { left in
    try b.withContiguousBytes { right in left.elementsEqual(right) }
  }
}

/// The gradients of a scalar with respect to copies of `inputs`; zero where it does not depend on one.
public func gradients(of inputs: [Tensor], _ loss: ([Tensor]) throws -> Tensor) throws -> [Tensor] {
  try withTorch {
    let leaves = inputs.map { $0.detached().cloned().requiringGradient() }
    try loss(leaves).backward()
    return leaves.map { $0.gradient ?? .zeros($0.shape, $0.dtype) }
  }
}
