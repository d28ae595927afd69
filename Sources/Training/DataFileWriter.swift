import Checkpoint
import Foundation

/// A file that grows at its end; an append that fails leaves it as it was.
///
/// Unbuffered: what was appended is with the operating system, so that killing the process loses none of it.
final class DataFileWriter {
  private let path: String
  private let descriptor: Int32
  /// The size in bytes.
  private(set) var size: Int

  /// Opens the file at `path`, or makes it.
  init(_ path: String) throws {
    self.path = path
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw CheckpointError(path, "cannot be opened for writing: \(systemReason())") }
    var status = stat()
    size = fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
  }

  deinit { close(descriptor) }

  /// Writes `bytes` behind everything else.
  func append(_ bytes: UnsafeRawBufferPointer) throws {
    do { try write(bytes, at: size) } catch {
      ftruncate(descriptor, off_t(size))
      throw error
    }
    size += bytes.count
  }

  /// Writes text behind everything else.
  func append(_ text: String) throws {
    var text = text
    try text.withUTF8 { try append(UnsafeRawBufferPointer($0)) }
  }

  /// Replaces the bytes from `offset` on, all of which must be there already.
  func replace(at offset: Int, with bytes: UnsafeRawBufferPointer) throws { try write(bytes, at: offset) }

  /// Forgets everything from byte `size` on.
  func truncate(to size: Int) throws {
    guard ftruncate(descriptor, off_t(size)) == 0 else {
      throw CheckpointError(path, "cannot be shortened: \(systemReason())")
    }
    self.size = size
  }

  private func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
    var done = 0
    while done < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
      let written = pwrite(descriptor, rest.baseAddress, min(rest.count, 1 << 30), off_t(offset + done))
      if written < 0, errno == EINTR { continue }
      guard written > 0 else { throw CheckpointError(path, "cannot write \(rest.count) bytes: \(systemReason())") }
      done += written
    }
  }
}

/// The operating system's words for its last error.
func systemReason(_ code: Int32 = errno) -> String { String(cString: strerror(code)) }
