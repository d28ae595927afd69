import WidebandTorch

/// Names of dtypes in safetensors headers.
extension DType {
  /// All dtypes in the order in which the format's reference implementation lays tensors out: widest first.
  static let safetensorsOrder: [DType] = [
    .int64, .float64, .float32, .int32, .bfloat16, .float16, .int16, .int8, .uint8, .bool,
  ]

  /// The dtype called `name` in a header; nil if there is none.
  init?(safetensorsName name: String) {
    guard let dtype = Self.safetensorsOrder.first(where: { $0.safetensorsName == name }) else { return nil }
    self = dtype
  }

  /// The name of this dtype in a header.
  var safetensorsName: String {
    switch self {
    case .float64: "F64"
    case .float32: "F32"
    case .float16: "F16"
    case .bfloat16: "BF16"
    case .int64: "I64"
    case .int32: "I32"
    case .int16: "I16"
    case .int8: "I8"
    case .uint8: "U8"
    case .bool: "BOOL"
    }
  }
}
