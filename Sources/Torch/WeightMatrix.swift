import CTorch

/// A linear map's weight, `[out, in]`, in the form in which it lies in memory and is read: floats of any width.
///
/// Products take activations of float32 and widen the weight where it is multiplied, so that no second copy of it
/// exists.
public struct WeightMatrix {
  /// The weight itself, `[out, in]`.
  public let values: Tensor
  /// What is trained in its stead; nil for nothing.
  public let adapter: LowRankAdapter?

  /// A matrix of floats `[out, in]`, and what is trained in its stead.
  public init(_ values: Tensor, adapter: LowRankAdapter? = nil) {
    self.values = values
    self.adapter = adapter
  }

  /// The matrix as the C interface takes it; nil after a failure.
  var pointers: wb_matrix? { values.pointer.map { wb_matrix(values: $0) } }

  var description: String { "\(values.dtype)\(values.shape)" }

  /// The rows `[..., in]` that integer indices `[...]` name, as an embedding reads its table.
  public func rows(_ indices: Tensor) -> Tensor { values.embedding(indices) }
}

extension Tensor {
  /// x Wᵀ for x `[..., in]` and a weight `[out, in]`, in x's dtype; with an adapter x Wᵀ + s (x Aᵀ) Bᵀ.
  public func linear(_ weight: WeightMatrix) -> Tensor {
    guard let adapter = weight.adapter else { return linear(plain: weight) }
    guard Kernels.selected == .fused, let source = pointer, let matrix = weight.pointers,
      let down = adapter.down.pointer, let up = adapter.up.pointer, wb_is_adapted_product(source, matrix, down, up)
    else { return linear(plain: weight) + (linear(adapter.down) * adapter.scale).linear(adapter.up) }
    return Tensor(
      result: wb_adapted_linear(source, matrix, down, up, adapter.scale),
      of: "linear(\(dtype)\(shape), \(weight.description), \(adapter.down.shape), \(adapter.up.shape))")
  }

  /// The same without the adapter.
  private func linear(plain weight: WeightMatrix) -> Tensor {
    guard Kernels.selected == .fused, let source = pointer, let matrix = weight.pointers else {
      return linear(composed: weight.values)
    }
    return Tensor(
      result: wb_linear(source, matrix), of: "linear(\(dtype)\(shape), \(weight.description))")
  }

  /// x Wᵀ for x `[..., in]` and a weight `[out, in]`, which is cast to x's dtype.
  public func linear(_ weight: Tensor) -> Tensor { linear(WeightMatrix(weight)) }
}

extension Scope {
  /// The matrix of this name, `[outputs, inputs]`, with its adapter if it has one: made, loaded, or the one that was
  /// asked for before.
  ///
  /// - Throws: `TorchError` if a checkpoint lacks it or holds it with another shape or an integer type.
  public func matrix(_ name: String, _ outputs: Int, _ inputs: Int, _ initial: InitialValue) throws -> WeightMatrix {
    WeightMatrix(
      try tensor(name, [outputs, inputs], initial),
      adapter: try store.adapters?.adapter(of: path + name, outputs, inputs))
  }
}
