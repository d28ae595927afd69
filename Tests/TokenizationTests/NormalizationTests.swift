import Testing

@testable import WidebandTokenization

@Suite struct NormalizationTests {
  private func compose(_ scalars: [UInt32]) -> [UInt32] {
    var bytes: [UInt8] = []
    for scalar in scalars { UTF8Text.append(scalar, to: &bytes) }
    let composed = bytes.withUnsafeBufferPointer { CanonicalComposition.composed($0) } ?? bytes
    return String(decoding: composed, as: UTF8.self).unicodeScalars.map(\.value)
  }

  @Test(
    arguments: [
      ([0x65, 0x301], [0xE9]),
      ([0x61, 0x301, 0x323], [0x1EA1, 0x301]),
      ([0x1EA1, 0x301], [0x1EA1, 0x301]),
      ([0xE1, 0x323], [0x1EA1, 0x301]),
      // A mark of class 0 between them keeps the two apart.
      ([0x61, 0x5BF, 0x34F, 0x301], [0x61, 0x5BF, 0x34F, 0x301]),
      ([0x1100, 0x1161, 0x11A8], [0xAC01]),
      ([0xAC00, 0x11A8], [0xAC01]),
      ([0xAC00, 0x11A7], [0xAC00, 0x11A7]),
      ([0xAC01, 0x11A8], [0xAC01, 0x11A8]),
      ([0x2126, 0x212B, 0xF900], [0x3A9, 0xC5, 0x8C48]),
      // Excluded from composition.
      ([0x958], [0x915, 0x93C]),
      ([0x915, 0x93C], [0x915, 0x93C]),
      ([0x344], [0x308, 0x301]),
      // A vowel sign that decomposes to marks of classes 129 and 130.
      ([0x61, 0x301, 0xF73, 0x323], [0x1EA1, 0xF71, 0xF72, 0x301]),
      // A starter outside the basic plane whose low bits are those of "<".
      ([0x2003C, 0x338], [0x2003C, 0x338]),
      ([0x3C, 0x338], [0x226E]),
      // A second part of combining class 0.
      ([0x9C7, 0x9BE], [0x9CB]),
      ([0x1D15E], [0x1D157, 0x1D165]),
      ([0x11099, 0x110BA], [0x1109A]),
    ] as [([UInt32], [UInt32])])
  func composes(input: [UInt32], expected: [UInt32]) {
    #expect(compose(input) == expected)
    #expect(compose(expected) == expected)
    // In the middle of text too.
    #expect(compose([0x23] + input + [0x79]) == [0x23] + expected + [0x79])
  }

  @Test func composed_isNotCopied() {
    for text in ["plain", "é ü ß", "日本語 한국어", "👩‍👩‍👧‍👦", ""] {
      #expect(Array(text.utf8).withUnsafeBufferPointer { CanonicalComposition.composed($0) } == nil)
    }
  }

  @Test func marks_areSortedStably() {
    let marks: [UInt32] = Array(repeatElement([0x301, 0x323], count: 500).joined())
    let result = compose([0x62] + marks)
    #expect(result.count == 1000)
    #expect(result.first == 0x1E05)
    #expect(result[1..<500].allSatisfy { $0 == 0x323 } && result[500...].allSatisfy { $0 == 0x301 })
  }
}
