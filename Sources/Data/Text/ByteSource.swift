import Foundation
import WidebandCheckedInput

/// A sequential reader of the bytes of a regular file.
final class ByteSource {
  private let path: String
  private let handle: FileHandle
  /// The number of bytes that were read so far.
  private(set) var position = 0

  /// - Throws: `DataError` if the file cannot be opened or is not a regular file.
  init(_ path: String) throws {
    self.path = path
    do { handle = try openRegularFile(path) } catch { throw DataError.unreadable(path: path, sentence: "\(error)") }
  }

  /// The next bytes, at most 256 KiB; empty at the end.
  func next() throws -> [UInt8] {
    do {
      let bytes = try nextBytes(
        ofDescriptor: handle.fileDescriptor, name: printable(path: path), maximumCount: 1 << 18)
      position += bytes?.count ?? 0
      return bytes ?? []
    } catch { throw DataError.unreadable(path: path, sentence: "\(error)") }
  }
}
