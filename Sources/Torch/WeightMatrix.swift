import CTorch

/// A linear map's weight, `[out, in]`, in the form in which it lies in memory and is read: floats of any width, or whole
/// numbers under scales.
///
/// Products take activations of float32 and widen the weight where it is multiplied, so that no second copy of it
/// exists.
public struct WeightMatrix {
  /// The weight itself, `[out, in]`; its whole numbers, packed as the scheme has it, where there are scales.
  public let values: Tensor
  /// The scales of whole numbers, in bfloat16; nil for floats.
  public let scales: Tensor?
  /// Columns of the weight.
  public let inputs: Int
  /// What is trained in its stead; nil for nothing.
  public internal(set) var adapter: LowRankAdapter?

  /// A matrix of floats `[out, in]`, and what is trained in its stead.
  public init(_ values: Tensor, adapter: LowRankAdapter? = nil) {
    self.values = values
    self.adapter = adapter
    scales = nil
    inputs = values.size(-1)
  }

  /// A matrix of whole numbers, with `inputs` columns.
  init(_ values: Tensor, scales: Tensor, inputs: Int) {
    self.values = values
    self.scales = scales
    self.inputs = inputs
  }

  /// Rows of the weight.
  public var outputs: Int { values.size(0) }

  /// The scheme of whole numbers; nil for floats.
  public var scheme: QuantizationScheme? { scales == nil ? nil : QuantizationScheme(values.dtype) }

  /// The number of weights, however they are packed.
  public var count: Int { outputs * inputs }

  /// A matrix of floats as whole numbers.
  ///
  /// - Throws: `TorchError` if a weight is not finite or of 2¹²⁶ or more.
  public func quantized(_ scheme: QuantizationScheme) throws -> WeightMatrix {
    guard scales == nil else { throw TorchError("is quantised already") }
    guard let weight = values.pointer else { throw TorchError("is the result of a failed operator") }
    var (numbers, factors): (OpaquePointer?, OpaquePointer?)
    guard wb_quantize(weight, scheme == .int4, &numbers, &factors) else { throw TorchError(lastError()) }
    return WeightMatrix(Tensor(owning: numbers), scales: Tensor(owning: factors), inputs: inputs)
  }

  /// The weight `[out, in]` without its adapter as floats: what whole numbers stand for in float32, floats as they are.
  public var floats: Tensor {
    guard scales != nil, let matrix = plain.pointers else { return values }
    return Tensor(result: wb_expand(matrix), of: "expand(\(description))")
  }

  /// What a checkpoint calls the scales of the matrix `name`.
  public static func scalesName(of name: String) -> String { name + "_scale" }

  /// The same without the adapter.
  var plain: WeightMatrix {
    var matrix = self
    matrix.adapter = nil
    return matrix
  }

  /// The matrix as the C interface takes it; nil after a failure, and with an adapter, which no kernel knows of.
  var pointers: wb_matrix? {
    guard adapter == nil, let numbers = values.pointer else { return nil }
    guard let scales else { return wb_matrix(values: numbers, scales: nil, inputs: Int64(inputs)) }
    return scales.pointer.map { wb_matrix(values: numbers, scales: $0, inputs: Int64(inputs)) }
  }

  var description: String { scheme.map { "\($0)[\(outputs), \(inputs)]" } ?? "\(values.dtype)\(values.shape)" }

  /// The rows `[..., in]` that integer indices `[...]` name, as an embedding reads its table: in float32 where they are
  /// whole numbers, as they are where they are floats.
  public func rows(_ indices: Tensor) -> Tensor {
    guard scales != nil, let matrix = pointers, let places = indices.pointer else { return values.embedding(indices) }
    return Tensor(
      result: wb_rows(matrix, places), of: "rows(\(description), \(indices.dtype)\(indices.shape))")
  }
}

extension Tensor {
  /// x Wᵀ for x `[..., in]` and a weight `[out, in]`, in x's dtype; with an adapter x Wᵀ + s (x Aᵀ) Bᵀ.
  public func linear(_ weight: WeightMatrix) -> Tensor {
    guard let adapter = weight.adapter else { return linear(plain: weight) }
    guard Kernels.selected == .fused, let source = pointer, let matrix = weight.plain.pointers,
      let down = adapter.down.pointer, let up = adapter.up.pointer, wb_is_adapted_product(source, matrix, down, up)
    else { return linear(plain: weight.plain) + (linear(adapter.down) * adapter.scale).linear(adapter.up) }
    return Tensor(
      result: wb_adapted_linear(source, matrix, down, up, adapter.scale),
      of: "linear(\(dtype)\(shape), \(weight.description), \(adapter.down.shape), \(adapter.up.shape))")
  }

  /// The product with a matrix that has no adapter.
  private func linear(plain weight: WeightMatrix) -> Tensor {
    guard Kernels.selected == .fused, let source = pointer, let matrix = weight.pointers else {
      return linear(composed: weight.floats)
    }
    return Tensor(
      result: wb_linear(source, matrix), of: "linear(\(dtype)\(shape), \(weight.description))")
  }

  /// x Wᵀ for x `[..., in]` and a weight `[out, in]`, which is cast to x's dtype.
  public func linear(_ weight: Tensor) -> Tensor { linear(WeightMatrix(weight)) }
}

extension Scope {
  /// The matrix of this name, `[outputs, inputs]`, with its adapter if it has one: made, loaded, or the one that was
  /// asked for before. In a checkpoint it may be quantised, with its scales beside it under the same name and `_scale`.
  ///
  /// - Throws: `TorchError` if a checkpoint lacks it, or holds it with another shape or another type than floats or
  ///   those of a scheme.
  public func matrix(_ name: String, _ outputs: Int, _ inputs: Int, _ initial: InitialValue) throws -> WeightMatrix {
    try store.matrix(path + name, outputs, inputs, initial)
  }
}
