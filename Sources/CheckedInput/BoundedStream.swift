import Foundation

/// What a descriptor still gives, up to its end: of a file, a pipe or a device, of bounded length.
///
/// - Parameters:
///   - descriptor: open for reading; left open.
///   - name: what messages call it.
///   - limit: the most bytes that are accepted.
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

/// The next bytes that a descriptor gives, at least one and as many as there are at once; nil at its end.
///
/// - Parameters:
///   - descriptor: open for reading; left open.
///   - name: what messages call it.
/// - Throws: `InputError` naming the stream, if it is closed or cannot be read.
public func nextBytes(ofDescriptor descriptor: Int32, name: String) throws -> [UInt8]? {
  while true {
    var failure: Int32 = 0
    let chunk = [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
      let result = read(descriptor, buffer.baseAddress, buffer.count)
      if result < 0 { failure = errno }
      count = max(0, result)
    }
    switch failure {
    case 0: return chunk.isEmpty ? nil : chunk
    case EINTR: continue
    // Whoever shares a terminal or a pipe may have made it non-blocking.
    case EAGAIN: _ = isReady(descriptor, within: -1)
    case EBADF: throw InputError("\(name): cannot be read: it is closed")
    case EISDIR: throw InputError("\(name): is a folder: expected text")
    default: throw InputError("\(name): cannot be read: \(String(cString: strerror(failure)))")
    }
  }
}

/// The content of what a path leads to: a file, or a pipe such as `<(command)`, of bounded length.
///
/// - Parameters:
///   - path: of anything that can be read; a folder is refused.
///   - limit: the most bytes that are accepted.
///   - patience: milliseconds in which a FIFO must have found a writer, for which it would otherwise wait for ever.
/// - Throws: `InputError` naming the path and why it cannot be read, or the limit.
public func boundedContents(ofStream path: String, limit: Int, patience: Int32 = 5000) throws -> [UInt8] {
  let name = printable(path)
  let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
  guard descriptor >= 0 else { throw InputError("\(name): cannot be read: \(String(cString: strerror(errno)))") }
  defer { close(descriptor) }
  var status = stat()
  var first: [UInt8] = []
  if fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFIFO, !isReady(descriptor, within: patience) {
    // Without a writer a FIFO is at its end; with one that has written nothing yet this read fails.
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

/// Waits until a descriptor has bytes or its end to give; false when `milliseconds` are over. -1 waits for ever.
private func isReady(_ descriptor: Int32, within milliseconds: Int32) -> Bool {
  var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
  var result: Int32
  repeat { result = poll(&request, 1, milliseconds) } while result < 0 && errno == EINTR
  return result > 0
}
