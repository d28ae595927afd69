import Foundation

/// An open file of the operating system, closed when nobody holds it.
final class FileDescriptor {
  private let number: Int32
  private let path: String

  private init(_ number: Int32, path: String) {
    self.number = number
    self.path = path
  }

  deinit { close(number) }

  /// Opens what is at `path`, without waiting for a writer should it be a pipe.
  convenience init(reading path: String) throws {
    let number = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard number >= 0 else { throw CheckpointError(errno, path, "cannot be opened") }
    self.init(number, path: path)
  }

  /// Makes a new file at `temporary`; errors name the `path` that it will become.
  convenience init(creating temporary: String, for path: String) throws {
    let number = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard number >= 0 else { throw CheckpointError(errno, path, "cannot create a temporary file beside it") }
    self.init(number, path: path)
  }

  /// The size in bytes.
  ///
  /// - Throws: `CheckpointError` if this is no regular file.
  func size() throws -> Int {
    var status = stat()
    guard fstat(number, &status) == 0 else { throw CheckpointError(errno, path, "cannot be examined") }
    guard status.st_mode & S_IFMT == S_IFREG else {
      let kind = status.st_mode & S_IFMT == S_IFDIR ? "a folder" : "a device or a pipe"
      throw CheckpointError(path, "is \(kind), expected a file")
    }
    return Int(status.st_size)
  }

  /// Maps the first `size` bytes, which must be at least one, for reading.
  func map(_ size: Int) throws -> UnsafeRawPointer {
    guard let memory = mmap(nil, size, PROT_READ, MAP_PRIVATE, number, 0), memory != MAP_FAILED else {
      throw CheckpointError(errno, path, "cannot be mapped into memory")
    }
    return UnsafeRawPointer(memory)
  }

  /// Writes all of `bytes` at the end of what was written before.
  func append(_ bytes: UnsafeRawBufferPointer) throws {
    // No system writes more than this at once, and some refuse to try.
    let most = 1 << 30
    var left = bytes
    while !left.isEmpty {
      let written = write(number, left.baseAddress, min(left.count, most))
      if written < 0 && errno == EINTR { continue }
      guard written > 0 else { throw CheckpointError(errno, path, "cannot write \(left.count) bytes") }
      left = UnsafeRawBufferPointer(rebasing: left[written...])
    }
  }

  /// Takes the right to what is open for as long as this object lives; false if another holds it.
  ///
  /// Unlike the number of a process it means the same in every container on a machine. A file system without locks
  /// gives it to everybody.
  func lock() -> Bool { flock(number, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK }

  /// Waits until everything written is on the disk.
  func synchronize() throws {
    // Some file systems have nothing to synchronise in a folder and say so with EINVAL.
    guard fsync(number) == 0 || errno == EINVAL else {
      throw CheckpointError(errno, path, "cannot be synchronised with the disk")
    }
  }
}

/// The operating system's words for an error number.
func systemMessage(_ code: Int32) -> String { String(cString: strerror(code)) }
