import CZlib
import Foundation

/// The text of a file, unpacked and piece by piece, so that no more of it is in memory than is asked for.
final class TextReader {
  private let file: TextFile
  private let stream: gzFile
  private var buffer: [UInt8] = []
  private var start = 0
  private var isAtEnd = false
  /// Where in the unpacked text the next byte comes from.
  private(set) var offset = 0

  /// - Throws: `DataError` if the file cannot be opened.
  init(_ file: TextFile) throws {
    self.file = file
    guard let stream = gzopen(file.path, "rb") else { throw DataError(file.path, "cannot be read: \(systemReason())") }
    self.stream = stream
    gzbuffer(stream, 1 << 17)
    try fill(3)
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    if buffer.starts(with: mark) { skip(mark.count) }
  }

  deinit { gzclose(stream) }

  /// Bytes of the file on the disk that were read so far.
  var position: Int { Int(max(0, gzoffset(stream))) }

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
  func line() throws -> [UInt8]? {
    var searched = 0
    while true {
      let ahead = buffer[(start + searched)...]
      if let end = ahead.firstIndex(of: 0x0A) {
        let line = Array(buffer[start..<end])
        skip(line.count + 1)
        return line
      }
      searched += ahead.count
      try fill(searched + 1)
      if buffer.count - start == searched {
        return searched == 0 ? nil : take(searched)
      }
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
      var piece = [UInt8](repeating: 0, count: 1 << 18)
      let read = gzread(stream, &piece, UInt32(piece.count))
      try check(read)
      isAtEnd = read == 0
      buffer.append(contentsOf: piece[..<Int(max(0, read))])
    }
  }

  /// zlib hands an unpacked file through as it is, and reports a file that is cut short at its end.
  private func check(_ read: Int32) throws {
    var code: Int32 = 0
    let reason = gzerror(stream, &code).map { String(cString: $0) } ?? ""
    switch code {
    case Z_OK, Z_STREAM_END: break
    case Z_BUF_ERROR: throw DataError(file.path, "the gzip stream is cut short")
    case Z_ERRNO: throw DataError(file.path, "cannot be read: \(systemReason())")
    default:
      let detail = reason.split(separator: ": ").last.map(String.init) ?? "error \(code)"
      throw DataError(file.path, "the gzip stream is damaged: \(detail)")
    }
    let isPacked = gzdirect(stream) == 0
    if file.isCompressed && !isPacked { throw DataError(file.path, "is not a gzip file, though its name ends in .gz") }
    if !file.isCompressed && isPacked { throw DataError(file.path, "is a gzip file: give it a name that ends in .gz") }
  }
}
