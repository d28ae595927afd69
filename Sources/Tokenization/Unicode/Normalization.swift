/// Canonical composition (NFC, Unicode Standard Annex 15) of UTF-8 text, scalar by scalar.
///
/// The package has its own tables because the result must equal that of the Hugging Face library, whose Unicode version
/// is fixed. Text that is composed already, the common case, is only scanned.
enum CanonicalComposition {
  /// The composed form of valid UTF-8, or nil when `text` is in that form already.
  static func composed(_ text: Bytes) -> [UInt8]? {
    // Text without a lead byte of U+0300 or above cannot change.
    guard text.contains(where: { $0 >= 0xCC }) else { return nil }
    let tables = NormalizationTables.shared
    var result: [UInt8] = []
    var copied = 0
    var index = 0
    var lastStart = 0
    while index < text.count {
      let (value, length) = UTF8Text.scalar(in: text, at: index)
      guard value >= 0x300, tables.mayChange(value) else {
        // Composition never crosses the start of such a scalar: a span that must be composed can start here.
        lastStart = index
        index += length
        continue
      }
      var end = index
      while end < text.count {
        let (next, nextLength) = UTF8Text.scalar(in: text, at: end)
        guard next >= 0x300, tables.mayChange(next) else { break }
        end += nextLength
      }
      result.append(contentsOf: text[copied..<lastStart])
      compose(Bytes(rebasing: text[lastStart..<end]), tables, into: &result)
      (copied, index, lastStart) = (end, end, end)
    }
    guard copied > 0 else { return nil }
    result.append(contentsOf: text[copied...])
    return result.elementsEqual(text) ? nil : result
  }

  private static func compose(_ text: Bytes, _ tables: NormalizationTables, into result: inout [UInt8]) {
    var scalars: [Scalar] = []
    var index = 0
    while index < text.count {
      let (value, length) = UTF8Text.scalar(in: text, at: index)
      tables.decompose(value, into: &scalars)
      index += length
    }
    reorder(&scalars)
    for scalar in composePairs(scalars, tables) { UTF8Text.append(scalar, to: &result) }
  }

  /// Sorts each run of scalars with non-zero combining class by class, keeping the order of equals.
  private static func reorder(_ scalars: inout [Scalar]) {
    var start = 0
    while start < scalars.count {
      guard scalars[start].combiningClass != 0 else {
        start += 1
        continue
      }
      let end = scalars[start...].firstIndex { $0.combiningClass == 0 } ?? scalars.count
      if end - start > 1 {
        let run = scalars[start..<end].enumerated().sorted {
          ($0.element.combiningClass, $0.offset) < ($1.element.combiningClass, $1.offset)
        }
        scalars.replaceSubrange(start..<end, with: run.map(\.element))
      }
      start = end
    }
  }

  private static func composePairs(_ scalars: [Scalar], _ tables: NormalizationTables) -> [UInt32] {
    var output: [UInt32] = []
    var starter: Int?
    var lastClass: UInt8 = 0
    for scalar in scalars {
      // A scalar composes with the last starter unless another scalar between them has the same or a higher class. The
      // scalars are sorted by class, so the one before decides.
      let isAdjacent = starter == output.count - 1
      if let position = starter, isAdjacent || (lastClass != 0 && lastClass < scalar.combiningClass),
        let composite = tables.composite(output[position], scalar.value)
      {
        output[position] = composite
        continue
      }
      if scalar.combiningClass == 0 { starter = output.count }
      lastClass = scalar.combiningClass
      output.append(scalar.value)
    }
    return output
  }

  /// A scalar value with its canonical combining class.
  struct Scalar {
    var value: UInt32
    var combiningClass: UInt8
  }
}
