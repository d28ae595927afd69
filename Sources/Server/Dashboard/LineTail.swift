import Foundation
import WidebandCheckedInput

/// The complete lines of a file, which another thread appends to, from an offset on.
struct LineTail: Equatable {
  /// The lines, with their line breaks.
  let text: String
  /// The offset of their end, where the next lines begin.
  let end: Int
  /// Whether there were more bytes than were read.
  let isCut: Bool

  /// Reads about `limit` bytes, but at least one line if there is one. A file that does not exist has no lines.
  ///
  /// - Throws: `InputError` if the file cannot be read.
  init(of path: String, from offset: Int, limit: Int = 1 << 20) throws {
    var bytes = Data()
    let size = sizeOfFile(path)
    if size > offset {
      let file = try openRegularFile(path)
      defer { try? file.close() }
      try file.seek(toOffset: UInt64(offset))
      while !bytes.contains(Self.lineBreak), let more = try file.read(upToCount: limit), !more.isEmpty { bytes += more }
    }
    isCut = offset + bytes.count < size
    let lines = bytes.lastIndex(of: Self.lineBreak).map { bytes[...$0] } ?? Data()
    text = String(decoding: lines, as: UTF8.self)
    end = offset + lines.count
  }

  private static let lineBreak = UInt8(ascii: "\n")

  var json: JSONValue { ["text": .string(text), "end": JSONValue(end)] }
}
