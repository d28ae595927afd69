import Foundation
import WidebandTorch

/// The header of a safetensors file, checked against the file's size.
///
/// A file is eight bytes with the header's length (little-endian), the header (JSON), and the data. The header maps
/// each tensor's name to its dtype, its shape and its range of data bytes. The ranges must cover the data exactly:
/// without overlap, gap or remainder.
struct SafetensorsHeader {
  /// One tensor.
  struct Entry {
    let name: String
    let dtype: DType
    let shape: [Int]
    /// The tensor's bytes, counted from the start of the data.
    let range: Range<Int>
  }

  /// Free text by key.
  let metadata: [String: String]
  /// All tensors in the order of their data.
  let entries: [Entry]
  /// Where the data starts in the file.
  let dataStart: Int

  /// The longest header that the format allows.
  private static let maximumLength: UInt64 = 100_000_000

  /// Reads and checks the header of the file whose content is `file`.
  ///
  /// - Throws: `CheckpointError` with the path and the first thing that is wrong.
  init(_ file: UnsafeRawBufferPointer, path: String) throws {
    guard file.count >= 8 else {
      throw CheckpointError.malformed(
        path, "\(file.count) bytes are too few for a safetensors file: expected at least 8")
    }
    let length = UInt64(littleEndian: file.loadUnaligned(as: UInt64.self))
    guard length <= file.count - 8 else {
      throw CheckpointError.malformed(path, "header length \(length) exceeds the file's \(file.count) bytes")
    }
    guard length <= Self.maximumLength else {
      throw CheckpointError.malformed(
        path, "header length \(length) exceeds the format's limit of \(Self.maximumLength) bytes")
    }
    dataStart = 8 + Int(length)
    let parser = SafetensorsHeaderParser(path: path, dataCount: file.count - dataStart)
    (metadata, entries) = try parser.parse(UnsafeRawBufferPointer(rebasing: file[8..<dataStart]))
  }
}
