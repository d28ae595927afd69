import WidebandTorch

/// How a cache stores keys and values.
public enum KVCacheFormat: String, Sendable, CaseIterable {
  /// As they are computed, in the dtype of the activations.
  case float32
  /// Rounded to bfloat16.
  case bfloat16
  /// Integers from -127 to 127, with one float32 scale for a head's channels at one position.
  case int8

  /// The dtype in which keys and values are stored.
  func dtype(of activations: DType) -> DType {
    switch self {
    case .float32: activations
    case .bfloat16: .bfloat16
    case .int8: .int8
    }
  }
}
