import Foundation
import WidebandCheckedInput

/// A buffered reader of a text file, decompressed, that holds only as much text as is requested.
final class TextReader {
  private let file: TextFile
  private let source: ByteSource
  private let gzip: GzipReader?
  private var buffer: [UInt8] = []
  private var start = 0
  private var isAtEnd = false
  /// The offset of the next byte in the decompressed text.
  private(set) var offset = 0
  /// The number of the last line that was read, from 1.
  private(set) var lineNumber = 0

  /// The maximum size of a line in bytes: a small compressed file may expand to an endless line.
  static let maximumLine = 1 << 26

  /// - Throws: `DataError` if the file cannot be opened, or if its compression contradicts its name.
  init(_ file: TextFile) throws {
    self.file = file
    source = try ByteSource(file.path)
    let first = try source.next()
    if file.isCompressed {
      gzip = try GzipReader(source, path: file.path, first: first)
    } else {
      guard !first.starts(with: [0x1F, 0x8B]) else {
        throw DataError.malformed(file.path, "is a gzip file: give it a name that ends in .gz")
      }
      gzip = nil
      buffer = first
      isAtEnd = first.isEmpty
    }
    try fill(3)
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    if buffer.starts(with: mark) { skip(mark.count) }
  }

  /// Bytes of the file that were read so far, before decompression.
  var position: Int { gzip?.position ?? source.position }

  /// The next `count` bytes, or the rest of the text.
  func peek(_ count: Int) throws -> ArraySlice<UInt8> {
    try fill(count)
    return buffer[start...].prefix(count)
  }

  /// Consumes the next `count` bytes, which must have been read with `peek`.
  func take(_ count: Int) -> [UInt8] {
    let bytes = Array(buffer[start..<(start + count)])
    skip(count)
    return bytes
  }

  /// The bytes up to the next line feed or the end of the text, without the line feed; nil at the end.
  ///
  /// - Throws: `DataError` for a line of more than `maximumLine` bytes.
  func line() throws -> [UInt8]? {
    var searched = 0
    while true {
      let length = lineFeed(after: searched)
      guard length ?? searched <= Self.maximumLine else {
        throw DataError.malformed(
          file.path, "line \(lineNumber + 1) has more than \(Self.maximumLine) bytes: expected at most that many")
      }
      if let length {
        lineNumber += 1
        let line = take(length)
        skip(1)
        return line
      }
      searched = buffer.count - start
      try fill(searched + 1)
      if buffer.count - start == searched {
        guard searched > 0 else { return nil }
        lineNumber += 1
        return take(searched)
      }
    }
  }

  /// The next line with anything but white space as JSON defines it, its number, from 1, and its offset; nil at the end.
  func nonBlankLine() throws -> (bytes: [UInt8], number: Int, offset: Int)? {
    while case let offset = offset, let bytes = try line() {
      if !bytes.allSatisfy({ [0x20, 0x09, 0x0D].contains($0) }) { return (bytes, lineNumber, offset) }
    }
    return nil
  }

  /// The number of bytes before the next line feed; the first `searched` bytes contain none.
  private func lineFeed(after searched: Int) -> Int? {
    buffer.withUnsafeBytes { bytes in
      let rest = UnsafeRawBufferPointer(rebasing: bytes[(start + searched)...])
      guard let first = rest.baseAddress, let found = memchr(first, 0x0A, rest.count) else { return nil }
      return searched + (UnsafeRawPointer(found) - first)
    }
  }

  private func skip(_ count: Int) {
    start += count
    offset += count
  }

  private func fill(_ count: Int) throws {
    while buffer.count - start < count, !isAtEnd {
      if start > 0 {
        buffer.removeFirst(start)
        start = 0
      }
      let piece = try gzip?.next() ?? source.next()
      isAtEnd = piece.isEmpty
      buffer.append(contentsOf: piece)
    }
  }
}
