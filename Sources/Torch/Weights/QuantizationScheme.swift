/// Group-wise integer quantization of weights: each group of 32 neighbors in a row shares one bfloat16 scale.
///
/// With M the largest magnitude in a group, no weight changes by more than M/254 · (1 + 2⁻⁷) in int8 and M/8 in int4. A
/// group without a magnitude of at least 2⁻¹¹⁰ becomes zero. The documentation of `ck_quantize` (CKernels) describes
/// how quantized values and scales are chosen and laid out.
public enum QuantizationScheme: String, Codable, Sendable, CaseIterable {
  /// Integers from -127 to 127.
  case int8
  /// Integers from -8 to 7, eight packed into an int32.
  case int4

  /// The number of weights that share a scale.
  public static let groupSize = 32

  /// The dtype of the tensor of quantized values.
  public var dtype: DType { self == .int8 ? .int8 : .int32 }

  /// Bytes per weight, scales included, where the rows have no partial groups.
  public var bytesPerWeight: Double { (self == .int8 ? 1 : 0.5) + 2 / Double(Self.groupSize) }

  /// The scheme whose quantized values have a dtype; nil for other dtypes.
  init?(_ dtype: DType) {
    guard let scheme = Self.allCases.first(where: { $0.dtype == dtype }) else { return nil }
    self = scheme
  }

  /// The shape of the quantized values of a weight `[outputs, inputs]`.
  func valuesShape(_ outputs: Int, _ inputs: Int) -> [Int] {
    [outputs, self == .int8 ? inputs : 16 * ((inputs + 127) / 128)]
  }

  /// The shape of the scales of a weight `[outputs, inputs]`.
  func scalesShape(_ outputs: Int, _ inputs: Int) -> [Int] {
    [outputs, self == .int8 ? (inputs + Self.groupSize - 1) / Self.groupSize : 4 * ((inputs + 127) / 128)]
  }
}
