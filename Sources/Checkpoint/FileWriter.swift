import Foundation
import WidebandCheckedInput

/// An append-only file; an append that fails leaves it as it was.
///
/// Unbuffered: appended bytes are in the operating system's hands, so a killed process loses none of them.
package final class FileWriter {
  private let path: String
  private let descriptor: Int32
  /// The size in bytes.
  package private(set) var size: Int

  /// Opens the file at `path`, or creates it.
  package init(_ path: String) throws {
    self.path = path
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      throw CheckpointError.notWritable(path, "cannot be opened for writing: \(systemReason())")
    }
    var status = stat()
    size = fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
  }

  deinit { close(descriptor) }

  /// Appends bytes.
  package func append(_ bytes: UnsafeRawBufferPointer) throws {
    do { try write(bytes, at: size) } catch {
      ftruncate(descriptor, off_t(size))
      throw error
    }
    size += bytes.count
  }

  /// Appends text as UTF-8.
  package func append(_ text: String) throws {
    var text = text
    try text.withUTF8 { try append(UnsafeRawBufferPointer($0)) }
  }

  /// Replaces existing bytes from `offset` on.
  package func replace(at offset: Int, with bytes: UnsafeRawBufferPointer) throws { try write(bytes, at: offset) }

  /// Removes everything from byte `size` on.
  package func truncate(to size: Int) throws {
    guard ftruncate(descriptor, off_t(size)) == 0 else {
      throw CheckpointError.notWritable(path, "cannot be shortened: \(systemReason())")
    }
    self.size = size
  }

  private func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
    let code = writeAll(bytes, to: descriptor, at: offset)
    guard code == 0 else { throw CheckpointError.notWritable(path, "cannot write \(bytes.count) bytes", errno: code) }
  }
}
