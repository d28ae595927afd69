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
          -127, 118, 107, 95, 83, 71, 59, 47, 35, 23, 11, -1, -13, -25, -37, -49, -61, -73, -85, -97, -109, -121, 125,
          113, 101, 89, 77, 65, 53, 41, 29, 17, 9, -11, -30, -49, -69, -88, -107, -127,
        ])
      #expect(int8.scales == [0x3bf9, 0x3b1a])
      #expect(quantized(CK_INT8, 5, 300).fingerprint == 0x9bc6_9c2b_a04e_7aac)

      let int4 = quantized(CK_INT4, 1, 40)
      let words: [UInt32] = [
        0xbe25_7ad1, 0xad14_79cf, 0xacf3_69be, 0x9ce3_58bd, 0x8888_8849, 0x8888_8827, 0x8888_8816, 0x8888_8805,
      ]
      let bytes = (words + Array(repeating: 0x8888_8888, count: 8)).flatMap { word in
        (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
      }
      #expect(int4.values == bytes)
      #expect(int4.scales == [0x3e0b, 0x3d16, 0, 0])
      #expect(quantized(CK_INT4, 5, 300).fingerprint == 0x4362_eae9_3d9a_6eb9)
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

/// A weight of numbers that a float holds exactly, in groups of several magnitudes.
private func quantized(_ form: ck_form, _ outputs: Int, _ inputs: Int) -> Quantized {
  let weights = (0..<(outputs * inputs)).map { index in
    Float(sign: .plus, exponent: -10 - index / 32 % 7 * index / 32 % 5, significand: 1)
      * Float((index * 7919 + 13) % 2003 - 1001)
  }
  let perRow = form == CK_INT8 ? (inputs + 31) / 32 : (inputs + 127) / 128 * 4
  var values = [UInt8](repeating: 1, count: outputs * (form == CK_INT8 ? inputs : perRow * 16))
  var scales = [UInt16](repeating: 1, count: outputs * perRow)
  #expect(ck_quantize(form, Int64(outputs), Int64(inputs), weights, &values, &scales, 2))
  return Quantized(values: values, scales: scales)
}
