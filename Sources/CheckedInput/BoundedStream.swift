import Foundation

/// Reads the rest of a file, a pipe or a device, of bounded length.
///
/// - Parameters:
///   - descriptor: open for reading; left open.
///   - name: the stream's name in messages.
///   - limit: the maximum number of bytes.
/// - Throws: `InputError` naming the stream, if it is closed, cannot be read or has more bytes.
public func boundedContents(ofDescriptor descriptor: Int32, name: String, limit: Int) throws -> [UInt8] {
  var bytes: [UInt8] = []
  while let chunk = try nextBytes(ofDescriptor: descriptor, name: name) {
    guard chunk.count <= limit - bytes.count else {
      throw InputError("\(name): has more than \(limit) bytes: expected at most as many")
    }
    bytes += chunk
  }
  return bytes
}

/// The next bytes of a descriptor: at least one, at most what one system call returns; nil at the end.
///
/// - Parameters:
///   - descriptor: open for reading; left open.
///   - name: the stream's name in messages.
///   - maximumCount: the maximum number of bytes.
/// - Throws: `InputError` naming the stream, if it is closed or cannot be read.
public func nextBytes(
  ofDescriptor descriptor: Int32, name: String, maximumCount: Int = 1 << 16
) throws -> [UInt8]? {
  while true {
    var failure: Int32 = 0
    let chunk = [UInt8](unsafeUninitializedCapacity: maximumCount) { buffer, count in
      let result = read(descriptor, buffer.baseAddress, buffer.count)
      if result < 0 { failure = errno }
      count = max(0, result)
    }
    switch failure {
    case 0: return chunk.isEmpty ? nil : chunk
    case EINTR: continue
    // Another process that shares a terminal or a pipe may have made it non-blocking.
    case EAGAIN: _ = isReady(descriptor, for: POLLIN, within: -1)
    case EBADF: throw InputError("\(name): cannot be read: it is closed")
    case EISDIR: throw InputError("\(name): is a folder: expected text")
    default: throw InputError("\(name): cannot be read: \(systemReason(failure))")
    }
  }
}

/// Reads a file, or a pipe such as `<(command)`, of bounded length.
///
/// - Parameters:
///   - path: anything that can be read; a folder is refused.
///   - limit: the maximum number of bytes.
///   - timeout: milliseconds to wait for a writer of a FIFO; without a bound the wait could last forever.
/// - Throws: `InputError` naming the path and why it cannot be read, or the limit.
public func boundedContents(ofStream path: String, limit: Int, timeout: Int32 = 5000) throws -> [UInt8] {
  let name = printable(path)
  let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
  guard descriptor >= 0 else { throw InputError("\(name): cannot be read: \(systemReason())") }
  defer { close(descriptor) }
  var status = stat()
  var first: [UInt8] = []
  if fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFIFO,
    !isReady(descriptor, for: POLLIN, within: timeout)
  {
    // A FIFO without a writer is at its end; if a writer exists but has written nothing yet, this read fails.
    var byte: UInt8 = 0
    switch read(descriptor, &byte, 1) {
    case 0: throw InputError("\(name): is a FIFO that nothing writes into: expected text")
    case 1: first = [byte]
    default: break
    }
  }
  _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
  return first + (try boundedContents(ofDescriptor: descriptor, name: name, limit: limit - first.count))
}

/// Waits until a read or a write of a descriptor does not block; false after `milliseconds`. -1 waits forever.
func isReady(_ descriptor: Int32, for event: Int32, within milliseconds: Int32) -> Bool {
  var request = pollfd(fd: descriptor, events: Int16(event), revents: 0)
  var result: Int32
  repeat { result = poll(&request, 1, milliseconds) } while result < 0 && errno == EINTR
  return result > 0
}
