import WidebandTorch

/// Searches the bytes of a tensor for infinities and NaNs.
enum FiniteNumbers {
  /// The index of the first element that is not finite; nil if all are finite, and for integer types.
  static func firstOther(in bytes: UnsafeRawBufferPointer, _ dtype: DType) -> Int? {
    switch dtype {
    case .float64: first(in: bytes, exponent: 0x7FF0_0000_0000_0000 as UInt64)
    case .float32: first(in: bytes, exponent: 0x7F80_0000 as UInt32)
    case .float16: first(in: bytes, exponent: 0x7C00 as UInt16)
    case .bfloat16: first(in: bytes, exponent: 0x7F80 as UInt16)
    case .int64, .int32, .int16, .int8, .uint8, .bool: nil
    }
  }

  /// A number is not finite if all bits of its exponent are set.
  private static func first<Bits: FixedWidthInteger>(in bytes: UnsafeRawBufferPointer, exponent: Bits) -> Int? {
    let numbers = bytes.bindMemory(to: Bits.self)
    // No branch within a block, so that the compiler vectorizes the loop.
    let block = 4096
    for start in stride(from: 0, to: numbers.count, by: block) {
      let part = numbers[start..<min(start + block, numbers.count)]
      let isFinite = part.reduce(true) { $0 && $1 & exponent != exponent }
      if !isFinite { return part.firstIndex { $0 & exponent == exponent } }
    }
    return nil
  }
}
