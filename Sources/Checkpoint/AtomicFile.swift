import Foundation
import WidebandCheckedInput

/// Writes files atomically: a reader sees the old file or the new one, never a part.
///
/// The bytes are written under a temporary name in the same folder and synchronized with the disk; then the file is
/// renamed into place. This holds for every failure and wherever the process is killed.
public enum AtomicFile {
  /// Writes or replaces the file at `url`.
  ///
  /// - Throws: `CheckpointError` naming the path and the system's reason: a full disk, a read-only folder.
  public static func write(_ data: Data, to url: URL) throws {
    try write(to: url) { append in try data.withUnsafeBytes(append) }
  }

  /// Writes or replaces the file at `url` in pieces, so that it never has to be in memory as a whole.
  ///
  ///     try AtomicFile.write(to: url) { append in
  ///       for piece in pieces { try piece.withUnsafeBytes(append) }
  ///     }
  ///
  /// - Parameter body: calls `append` with one piece after the other. If it throws, the file stays as it was.
  public static func write(
    to url: URL, _ body: (_ append: (UnsafeRawBufferPointer) throws -> Void) throws -> Void
  ) throws {
    // The rename would replace a device or a FIFO by a file.
    let path = url.path
    if let status = fileStatus(path), ![S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT) {
      throw CheckpointError.notWritable(path, "is a device or a FIFO: expected the name of a file")
    }
    let folder = url.deletingLastPathComponent()
    let temporary = folder.appending(path: TemporaryName().text).path
    let file = try FileDescriptor(creating: temporary, for: path)
    _ = file.lock()
    do {
      try body { try file.write($0) }
      try file.synchronize()
      guard rename(temporary, path) == 0 else {
        throw CheckpointError.notWritable(path, "cannot rename the temporary file into place", errno: errno)
      }
    } catch {
      unlink(temporary)
      throw error
    }
    try FileDescriptor(reading: folder.path).synchronize()
  }
}
