import Foundation
import WidebandCheckedInput
import WidebandCheckpoint

/// The integers of a `.npy` file, mapped into memory.
struct TokenArray: Sendable {
  /// The path of the file.
  let path: String
  private let header: TokenArrayHeader
  private let content: Data

  /// The number of elements.
  var count: Int { header.count }

  /// - Throws: `DataError` if the file is missing or is not an array of one of the expected types.
  init(_ path: String, expecting elements: [TokenArrayHeader.Element]) throws {
    self.path = path
    guard exists(path) else { throw DataError.unreadable(path, "no such file") }
    if let kind = irregularKind(path) { throw DataError.unreadable(path, "is \(kind): expected a file") }
    do { content = try Data(contentsOf: fileURL(path), options: .alwaysMapped) } catch {
      throw DataError.unreadable(path, "cannot be mapped into memory: \(reason(error))")
    }
    header = try content.withUnsafeBytes { try TokenArrayHeader($0, path: path, expecting: elements) }
  }

  /// Copies the elements of `range`, which must be within bounds, to the start of `target`.
  func copy(_ range: Range<Int>, to target: UnsafeMutableBufferPointer<Int64>) {
    func copy<Stored: FixedWidthInteger>(_: Stored.Type) {
      content.withUnsafeBytes { bytes in
        for (position, index) in range.enumerated() {
          let offset = header.size + index * MemoryLayout<Stored>.size
          let stored = bytes.loadUnaligned(fromByteOffset: offset, as: Stored.self)
          target[position] = Int64(truncatingIfNeeded: Stored(littleEndian: stored))
        }
      }
    }
    switch header.element {
    case .uint16: copy(UInt16.self)
    case .uint32: copy(UInt32.self)
    case .int64: copy(Int64.self)
    }
  }

  /// Calls `body` with the elements in order, some thousands at a time.
  func forEachPart(_ body: (UnsafeBufferPointer<Int64>) throws -> Void) rethrows {
    let size = 1 << 14
    for start in stride(from: 0, to: count, by: size) {
      let part = [Int64](unsafeUninitializedCapacity: min(size, count - start)) { target, filled in
        filled = min(size, count - start)
        copy(start..<(start + filled), to: target)
      }
      try part.withUnsafeBufferPointer(body)
    }
  }

  /// All elements.
  var elements: [Int64] {
    [Int64](unsafeUninitializedCapacity: count) { target, filled in
      copy(0..<count, to: target)
      filled = count
    }
  }
}

/// Writes a `.npy` file of a length that is not known in advance.
final class TokenArrayWriter {
  private let file: FileWriter
  private let element: TokenArrayHeader.Element
  private var pending: [UInt8] = []
  /// The number of elements so far.
  private(set) var count = 0

  init(_ path: String, _ element: TokenArrayHeader.Element) throws {
    self.element = element
    file = try FileWriter(path)
    try TokenArrayHeader(element, count: 0).bytes.withUnsafeBytes(file.append)
  }

  /// Adds elements, each of which must fit the type.
  func append(_ values: some Sequence<some FixedWidthInteger>) throws {
    for value in values {
      let word = UInt64(truncatingIfNeeded: value)
      for byte in 0..<element.size { pending.append(UInt8(truncatingIfNeeded: word >> (8 * byte))) }
      count += 1
    }
    if pending.count >= 1 << 20 { try flush() }
  }

  /// Writes pending elements, and the header with the final count.
  func finish() throws {
    try flush()
    try TokenArrayHeader(element, count: count).bytes.withUnsafeBytes { try file.replace(at: 0, with: $0) }
  }

  private func flush() throws {
    try pending.withUnsafeBytes(file.append)
    pending.removeAll(keepingCapacity: true)
  }
}
