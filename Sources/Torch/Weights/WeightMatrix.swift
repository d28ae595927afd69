import WidebandCTorch

/// The weight `[out, in]` of a linear map: floats of any dtype, or quantized values with scales, and an optional LoRA
/// adapter.
///
/// Kernels dequantize or widen the weight as they read it, so that no second copy of it exists.
public struct WeightMatrix {
  /// The floats `[out, in]`, or the quantized values in the scheme's packing.
  public let values: Tensor
  /// The bfloat16 scales of quantized values; nil for floats.
  public let scales: Tensor?
  /// The number of columns.
  public let inputs: Int
  /// The LoRA adapter, if any.
  public internal(set) var adapter: LowRankAdapter?

  /// A matrix of floats `[out, in]` with an optional LoRA adapter.
  public init(_ values: Tensor, adapter: LowRankAdapter? = nil) {
    self.values = values
    self.adapter = adapter
    scales = nil
    inputs = values.size(-1)
  }

  /// A quantized matrix with `inputs` columns.
  init(_ values: Tensor, scales: Tensor, inputs: Int) {
    self.values = values
    self.scales = scales
    self.inputs = inputs
  }

  /// The number of rows.
  public var outputs: Int { values.size(0) }

  /// The quantization scheme; nil for floats.
  public var scheme: QuantizationScheme? { scales == nil ? nil : QuantizationScheme(values.dtype) }

  /// The number of weights, however they are packed.
  public var count: Int { outputs * inputs }

  /// A matrix of floats, quantized.
  ///
  /// - Throws: `TorchError` if the matrix is quantized already, or a weight is not finite or has a magnitude of 2¹²⁶ or
  ///   more.
  public func quantized(_ scheme: QuantizationScheme) throws -> WeightMatrix {
    guard scales == nil else { throw TorchError("is quantized already") }
    guard let weight = values.pointer else { throw TorchError("is the result of a failed operator") }
    var (quantized, scales): (OpaquePointer?, OpaquePointer?)
    guard wb_quantize(weight, scheme == .int4, &quantized, &scales) else { throw TorchError(lastError()) }
    return WeightMatrix(Tensor(owning: quantized), scales: Tensor(owning: scales), inputs: inputs)
  }

  /// The weight `[out, in]` as floats, without its adapter: quantized values dequantized to float32, floats unchanged.
  public var floats: Tensor {
    guard scales != nil, let matrix = plain.pointers else { return values }
    return Tensor(result: wb_dequantize(matrix), of: "expand(\(description))")
  }

  /// The name of the scales of the matrix `name` in a checkpoint.
  public static func scalesName(of name: String) -> String { name + "_scale" }

  /// This matrix without its adapter.
  var plain: WeightMatrix {
    var matrix = self
    matrix.adapter = nil
    return matrix
  }

  /// The matrix as the C interface takes it; nil after a failure, and with an adapter, which no kernel supports.
  var pointers: wb_matrix? {
    guard adapter == nil, let values = values.pointer else { return nil }
    guard let scales else { return wb_matrix(values: values, scales: nil, inputs: Int64(inputs)) }
    return scales.pointer.map { wb_matrix(values: values, scales: $0, inputs: Int64(inputs)) }
  }

  /// The scheme or dtype and the shape, as error messages show them.
  var description: String { scheme.map { "\($0)[\(outputs), \(inputs)]" } ?? "\(values.dtype)\(values.shape)" }

  /// The rows `[..., in]` at integer indices `[...]`: an embedding lookup. Quantized rows are dequantized to float32.
  public func indexSelect(_ indices: Tensor) -> Tensor {
    guard scales != nil, let matrix = pointers, let rows = indices.pointer else { return values.embedding(indices) }
    return Tensor(
      result: wb_index_select(matrix, rows), of: "rows(\(description), \(indices.dtype)\(indices.shape))")
  }
}

extension Tensor {
  /// x Wᵀ `[..., out]` for x `[..., in]` and a weight `[out, in]`, in x's dtype; with an adapter x Wᵀ + s (x Aᵀ) Bᵀ.
  public func linear(_ weight: WeightMatrix) -> Tensor {
    guard let adapter = weight.adapter else { return linear(plain: weight) }
    guard Kernels.selected == .fused, let source = pointer, let matrix = weight.plain.pointers,
      let down = adapter.down.pointer, let up = adapter.up.pointer, wb_is_adapted_product(source, matrix, down, up)
    else { return linear(plain: weight.plain) + (linear(adapter.down) * adapter.scale).linear(adapter.up) }
    return Tensor(
      result: wb_adapted_linear(source, matrix, down, up, adapter.scale),
      of: "linear(\(dtype)\(shape), \(weight.description), \(adapter.down.shape), \(adapter.up.shape))")
  }

  /// x Wᵀ for a matrix without an adapter.
  private func linear(plain weight: WeightMatrix) -> Tensor {
    guard Kernels.selected == .fused, let source = pointer, let matrix = weight.pointers else {
      return linear(composed: weight.floats)
    }
    return Tensor(
      result: wb_linear(source, matrix), of: "linear(\(dtype)\(shape), \(weight.description))")
  }

  /// x Wᵀ `[..., out]` for x `[..., in]` and a weight `[out, in]`, which is cast to x's dtype.
  public func linear(_ weight: Tensor) -> Tensor { linear(WeightMatrix(weight)) }
}
