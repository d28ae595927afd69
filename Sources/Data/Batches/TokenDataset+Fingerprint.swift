import Foundation
import WidebandCZlib
import WidebandTorch

extension TokenDataset {
  /// A checksum of what a run is trained and evaluated on: the tokens of both splits, the positions of conversations,
  /// and the byte lengths of tokens. A resumed run compares it.
  ///
  /// Of more than a million tokens, a million are sampled in equidistant blocks, which suffices to detect other text.
  package func fingerprint(with validation: TokenDataset) throws -> String {
    var sum = Checksum()
    for split in [self, validation] {
      sum.add([Int64(split.tokenCount)])
      for range in split.sampledRanges { sum.add(split.tokens(in: range)) }
      for document in split.conversations?.documents ?? [] {
        sum.add(([document.range] + document.answers).flatMap { [Int64($0.lowerBound), Int64($0.upperBound)] })
      }
      sum.add(try split.byteLengths.elements(Int64.self))
    }
    return String(format: "%08x", sum.value)
  }

  private static let blockSize = 1024
  private static let blockCount = 1024

  private var sampledRanges: [Range<Int>] {
    let (size, count) = (Self.blockSize, Self.blockCount)
    guard tokenCount > size * count else { return [0..<tokenCount] }
    let distance = (tokenCount - size) / (count - 1)
    return (0..<count).map { ($0 * distance)..<($0 * distance + size) }
  }
}

/// A running CRC-32.
package struct Checksum {
  private var sum = crc32_z(0, nil, 0)

  package init() {}

  package var value: UInt32 { UInt32(truncatingIfNeeded: sum) }

  package mutating func add(_ numbers: [some FixedWidthInteger]) {
    numbers.map(\.littleEndian).withUnsafeBytes { add($0) }
  }

  package mutating func add(_ bytes: UnsafeRawBufferPointer) {
    guard !bytes.isEmpty else { return }
    sum = crc32_z(sum, bytes.bindMemory(to: UInt8.self).baseAddress, bytes.count)
  }
}
