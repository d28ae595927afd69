import Foundation

/// Writes files that are there in full or not at all.
///
/// The bytes go to a temporary name in the same folder, to the disk, and only then to the file's own name. Whatever
/// fails, and wherever the process is killed, a reader sees the old file or the new one.
public enum AtomicFile {
  /// Writes or replaces the file at `url`.
  ///
  /// - Throws: `CheckpointError` naming the path and the system's reason: a full disk, a read-only folder.
  public static func write(_ data: Data, to url: URL) throws {
    try write(to: url) { append in try data.withUnsafeBytes(append) }
  }

  /// Writes or replaces the file at `url` piece by piece, so that it never has to be in memory as a whole.
  ///
  ///     try AtomicFile.write(to: url) { append in
  ///       for piece in pieces { try piece.withUnsafeBytes(append) }
  ///     }
  ///
  /// - Parameter body: calls `append` with one piece after the other. If it throws, the file stays as it was.
  public static func write(
    to url: URL, _ body: (_ append: (UnsafeRawBufferPointer) throws -> Void) throws -> Void
  ) throws {
    // A device or a FIFO would be gone, and a file in its place.
    var status = stat()
    if stat(url.path, &status) == 0, ![S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT) {
      throw CheckpointError(url.path, "is a device or a FIFO: expected the name of a file")
    }
    let folder = url.deletingLastPathComponent()
    let temporary = folder.appending(path: TemporaryName().text).path
    let file = try FileDescriptor(creating: temporary, for: url.path)
    _ = file.lock()
    do {
      try body(file.append)
      try file.synchronize()
      guard rename(temporary, url.path) == 0 else {
        throw CheckpointError(errno, url.path, "cannot rename the temporary file into place")
      }
    } catch {
      unlink(temporary)
      throw error
    }
    try FileDescriptor(reading: folder.path).synchronize()
  }
}
