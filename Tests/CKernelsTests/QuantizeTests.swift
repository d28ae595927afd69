import Testing
import WidebandCKernels

/// The bytes that weights become, which every vector code must give and which files already hold.
@Suite struct QuantizeTests {
  @Test(arguments: ["avx512", "avx2", "portable"]) func numbersAndScalesStay(code: String) async {
    await #expect(processExitsWith: .success) { [code] in
      guard ck_use_vector_code(code) else { return }
      let int8 = quantized(CK_INT8, 1, 40)
      #expect(
        int8.values.map { Int8(bitPattern: $0) } == [
          -69, -34, 1, 54, -118, -34, 72, 15, -127, 36, -65, -20, 24, 88, -69, 126, 95, -45, 48, 8,
          -74, -104, -113, -47, -97, 54, 22, -32, -62, 66, 113, -85, -42, 124, -29, 12, -9, 127, 96, 54,
        ])
      #expect(int8.scales == [0x3d7a, 0x3d80])
      #expect(quantized(CK_INT8, 64, 1000).fingerprint == 0x4754_f465_8463_0165)

      let int4 = quantized(CK_INT4, 1, 40)
      let words: [UInt32] = [
        0x9bc8_6614, 0x572a_009b, 0xf744_da90, 0x8888_8888, 0x581b_254e, 0x8888_8888, 0x36f9_cb42, 0x8888_8888,
      ]
      // Of the four interleaved groups the last two are after the row.
      let found = (0..<16).map { word in
        (0..<4).reduce(UInt32(0)) { $0 | UInt32(int4.values[word * 4 + $1]) << UInt32(8 * $1) }
      }
      let isInRow = [true, true, false, false]
      #expect(zip(found.indices, found).filter { isInRow[$0.0 % 4] }.map(\.1) == words)
      #expect(zip(found.indices, found).allSatisfy { isInRow[$0.0 % 4] || $0.1 == 0x8888_8888 })
      #expect(int4.scales == [0x3f84, 0xbf79, 0, 0])
      #expect(quantized(CK_INT4, 64, 1000).fingerprint == 0xee20_9ada_a1ce_9f20)
    }
  }
}

/// Numbers and scales of a weight `[outputs, inputs]`.
private struct Quantized {
  let values: [UInt8]
  let scales: [UInt16]

  /// FNV-1a of all bytes, the lower one of a scale first.
  var fingerprint: UInt64 {
    let bytes = values + scales.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] }
    return bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }
}

/// Numbers without a pattern, and between them groups of nothing but -1, 0 and 1.
private func quantized(_ format: ck_weight_format, _ outputs: Int, _ inputs: Int) -> Quantized {
  var state: UInt32 = 1
  let weights = (0..<(outputs * inputs)).map { index -> Float in
    state = state &* 1_664_525 &+ 1_013_904_223
    let number = Int(state >> 16)
    return index / 32 % 4 == 3 ? Float(number % 3 - 1) : Float(number - 32768) / 4096
  }
  let perRow = format == CK_INT8 ? (inputs + 31) / 32 : (inputs + 127) / 128 * 4
  var values = [UInt8](repeating: 1, count: outputs * (format == CK_INT8 ? inputs : perRow * 16))
  var scales = [UInt16](repeating: 1, count: outputs * perRow)
  let isDone = weights.withUnsafeBufferPointer { weights in
    values.withUnsafeMutableBytes { values in
      scales.withUnsafeMutableBufferPointer { scales in
        var args = ck_quantize_args(
          format: format, outputs: Int64(outputs), inputs: Int64(inputs), weight: weights.baseAddress,
          values: values.baseAddress, scales: scales.baseAddress)
        return ck_quantize(&args, 2)
      }
    }
  }
  #expect(isDone)
  return Quantized(values: values, scales: scales)
}
