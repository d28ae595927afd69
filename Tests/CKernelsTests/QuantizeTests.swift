import CKernels
import Testing

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
        0x424e_9014, 0xcb25_da66, 0xf91b_44c8, 0x3658_f79b, 0x8888_889b, 0x8888_8800, 0x8888_882a, 0x8888_8857,
      ]
      let bytes = (words + Array(repeating: 0x8888_8888, count: 8)).flatMap { word in
        (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
      }
      #expect(int4.values == bytes)
      #expect(int4.scales == [0x3f84, 0xbf79, 0, 0])
      #expect(quantized(CK_INT4, 64, 1000).fingerprint == 0xd85d_8079_2f03_5458)
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
private func quantized(_ form: ck_form, _ outputs: Int, _ inputs: Int) -> Quantized {
  var state: UInt32 = 1
  let weights = (0..<(outputs * inputs)).map { index -> Float in
    state = state &* 1_664_525 &+ 1_013_904_223
    let number = Int(state >> 16)
    return index / 32 % 4 == 3 ? Float(number % 3 - 1) : Float(number - 32768) / 4096
  }
  let perRow = form == CK_INT8 ? (inputs + 31) / 32 : (inputs + 127) / 128 * 4
  var values = [UInt8](repeating: 1, count: outputs * (form == CK_INT8 ? inputs : perRow * 16))
  var scales = [UInt16](repeating: 1, count: outputs * perRow)
  #expect(ck_quantize(form, Int64(outputs), Int64(inputs), weights, &values, &scales, 2))
  return Quantized(values: values, scales: scales)
}
