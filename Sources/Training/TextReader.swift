import CheckedInput
import Foundation

/// The text of a file, unpacked and piece by piece, so that no more of it is in memory than is asked for.
final class TextReader {
  private let file: TextFile
  private let source: ByteSource
  private let gzip: GzipReader?
  private var buffer: [UInt8] = []
  private var start = 0
  private var isAtEnd = false
  /// Where in the unpacked text the next byte comes from.
  private(set) var offset = 0
  /// The number of the line that was taken last, from 1.
  private(set) var lineNumber = 0

  /// The most bytes of a line: a file of some kilobytes may unpack to one without an end.
  static let maximumLine = 1 << 26

  /// - Throws: `DataError` if the file cannot be opened, or is packed though its name does not say so, or the other way
  ///   round.
  init(_ file: TextFile) throws {
    self.file = file
    source = try ByteSource(file.path)
    let first = try source.next()
    if file.isCompressed {
      gzip = try GzipReader(source, path: file.path, first: first)
    } else {
      guard !first.starts(with: [0x1F, 0x8B]) else {
        throw DataError(file.path, "is a gzip file: give it a name that ends in .gz")
      }
      gzip = nil
      buffer = first
      isAtEnd = first.isEmpty
    }
    try fill(3)
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    if buffer.starts(with: mark) { skip(mark.count) }
  }

  /// Bytes of the file on the disk that were read so far.
  var position: Int { gzip?.position ?? source.position }

  /// The next `count` bytes, or what is left of the text.
  func peek(_ count: Int) throws -> ArraySlice<UInt8> {
    try fill(count)
    return buffer[start...].prefix(count)
  }

  /// Takes the next `count` bytes, which must have been seen with `peek`.
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
        throw DataError(
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

  /// How many bytes there are before the next line feed; the first `searched` are known to be none.
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
