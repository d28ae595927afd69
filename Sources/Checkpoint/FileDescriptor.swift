import Foundation
import WidebandCheckedInput

/// An open file descriptor, closed when the object is released.
final class FileDescriptor {
  private let number: Int32
  private let path: String

  private init(_ number: Int32, path: String) {
    self.number = number
    self.path = path
  }

  deinit { close(number) }

  /// Opens a file or folder for reading; a FIFO is opened without waiting for a writer.
  convenience init(reading path: String) throws {
    let number = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard number >= 0 else { throw CheckpointError.unreadable(path, "cannot be opened", errno: errno) }
    self.init(number, path: path)
  }

  /// Creates a new file at `temporary`; errors name `path`, its final name.
  convenience init(creating temporary: String, for path: String) throws {
    let number = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard number >= 0 else {
      throw CheckpointError.notWritable(path, "cannot create a temporary file next to it", errno: errno)
    }
    self.init(number, path: path)
  }

  /// The size in bytes.
  ///
  /// - Throws: `CheckpointError` if this is no regular file.
  func size() throws -> Int {
    var status = stat()
    guard fstat(number, &status) == 0 else {
      throw CheckpointError.unreadable(path, "cannot be examined", errno: errno)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      let kind = status.st_mode & S_IFMT == S_IFDIR ? "a folder" : "a device or a pipe"
      throw CheckpointError.unreadable(path, "is \(kind): expected a file")
    }
    return Int(status.st_size)
  }

  /// Maps the first `size` bytes, which must be at least one, for reading.
  func map(_ size: Int) throws -> UnsafeRawPointer {
    guard let memory = mmap(nil, size, PROT_READ, MAP_PRIVATE, number, 0), memory != MAP_FAILED else {
      throw CheckpointError.unreadable(path, "cannot be mapped into memory", errno: errno)
    }
    return UnsafeRawPointer(memory)
  }

  /// Opens or creates a file for reading and writing.
  convenience init(writing path: String) throws {
    let number = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard number >= 0 else { throw CheckpointError.notWritable(path, "cannot be opened for writing", errno: errno) }
    self.init(number, path: path)
  }

  /// Writes all of `bytes`, at an offset or after what was written before.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int? = nil) throws {
    let code = writeAll(bytes, to: number, at: offset)
    guard code == 0 else { throw CheckpointError.notWritable(path, "cannot write \(bytes.count) bytes", errno: code) }
  }

  /// Removes everything from byte `size` on.
  func truncate(to size: Int) throws {
    guard ftruncate(number, off_t(size)) == 0 else {
      throw CheckpointError.notWritable(path, "cannot be shortened", errno: errno)
    }
  }

  /// Locks the open file for the lifetime of this object; false if another descriptor holds the lock.
  ///
  /// Unlike a process number, a lock is valid across the containers of a machine. On a file system without locks this
  /// is always true.
  func lock() -> Bool { flock(number, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK }

  /// Waits until everything written is on the disk.
  func synchronize() throws {
    // Some file systems cannot synchronize a folder and fail with EINVAL.
    guard fsync(number) == 0 || errno == EINVAL else {
      throw CheckpointError.notWritable(path, "cannot be synchronized with the disk", errno: errno)
    }
  }
}
