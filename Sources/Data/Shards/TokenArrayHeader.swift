import Foundation
import WidebandCheckedInput

/// The header of a `.npy` file, format version 1.0: the type and the number of the elements that follow it.
///
/// The arrays have one axis and little-endian integers. NumPy opens them with `numpy.load(path, mmap_mode="r")`.
struct TokenArrayHeader: Equatable {
  /// The types that tokens, document starts and byte lengths are written in.
  enum Element: String, CaseIterable {
    case uint16 = "<u2"
    case uint32 = "<u4"
    case int64 = "<i8"

    /// Bytes of one element.
    var size: Int {
      switch self {
      case .uint16: 2
      case .uint32: 4
      case .int64: 8
      }
    }
  }

  /// The type of the elements.
  let element: Element
  /// The number of elements.
  let count: Int
  /// Bytes before the first element.
  let size: Int

  private static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  private static let writtenSize = 128

  /// The header of `count` elements.
  init(_ element: Element, count: Int) {
    self.element = element
    self.count = count
    size = Self.writtenSize
  }

  /// The bytes of the header; their number does not depend on the count.
  var bytes: [UInt8] {
    let text = "{'descr': '\(element.rawValue)', 'fortran_order': False, 'shape': (\(count),), }"
    let length = Self.writtenSize - 10
    let padded = text + String(repeating: " ", count: length - 1 - text.utf8.count) + "\n"
    return Self.magic + [1, 0, UInt8(length), 0] + Array(padded.utf8)
  }

  /// Reads the header of the file at `path` from its content.
  ///
  /// - Throws: `DataError` if this is not such a file, or if its size contradicts the header.
  init(_ content: UnsafeRawBufferPointer, path: String, expecting elements: [Element]) throws {
    guard content.count >= 10, content.prefix(6).elementsEqual(Self.magic) else {
      throw DataError.malformed(path, "is not a .npy file: it does not begin with \\x93NUMPY")
    }
    guard content[6] == 1, content[7] == 0 else {
      throw DataError.malformed(path, "is a .npy file of version \(content[6]).\(content[7]): expected 1.0")
    }
    size = 10 + Int(content[8]) + Int(content[9]) << 8
    guard size <= content.count else {
      throw DataError.malformed(path, "is cut short: the header takes \(size) bytes, the file has \(content.count)")
    }
    let text = String(decoding: content[10..<size], as: UTF8.self)
    let type = text.firstMatch(of: /'descr': *'([^']*)'/)?.1 ?? ""
    guard let element = elements.first(where: { $0.rawValue == type }) else {
      let expected = elements.map { "'\($0.rawValue)'" }.joined(separator: " or ")
      throw DataError.malformed(path, "has elements of type \(quoted(type)): expected \(expected)")
    }
    self.element = element
    let shape = text.firstMatch(of: /'shape': *(\([^)]*\))/)?.1 ?? ""
    guard let count = shape.wholeMatch(of: /\( *([0-9]+) *, *\)/).flatMap({ Int($0.1) }) else {
      throw DataError.malformed(path, "has the shape \(printable(shape)): expected one axis")
    }
    self.count = count
    let (bytes, overflow) = count.multipliedReportingOverflow(by: element.size)
    guard !overflow, bytes == content.count - size else {
      let held = content.count - size
      throw DataError.malformed(
        path, "has \(held) bytes after its header: expected \(count) elements of \(element.size) bytes")
    }
  }
}
