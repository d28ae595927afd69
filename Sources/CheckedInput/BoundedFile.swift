import Foundation

/// The content of a regular file of bounded size.
///
/// - Parameter limit: the maximum size in bytes.
/// - Throws: `InputError` naming the file and why it cannot be read, or its size.
public func boundedContents(of file: URL, limit: Int) throws -> Data {
  let (handle, size) = try openFile(file.path)
  defer { try? handle.close() }
  guard size <= limit else {
    throw InputError(sentence("has \(size) bytes: expected at most \(limit)", at: file.path))
  }
  do {
    // A file that grows meanwhile is not read beyond the limit.
    return try handle.read(upToCount: limit) ?? Data()
  } catch { throw InputError(sentence("cannot be read: \(reason(error))", at: file.path)) }
}

/// Opens a regular file, or a link to one, for reading.
///
/// A FIFO without a writer would block forever, and a device may have no end: both are refused without waiting.
///
/// - Throws: `InputError` naming the file and what it is, or why it cannot be opened.
public func openRegularFile(_ path: String) throws -> FileHandle { try openFile(path).handle }

private func openFile(_ path: String) throws -> (handle: FileHandle, size: Int) {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
  let handle = descriptor >= 0 ? FileHandle(fileDescriptor: descriptor, closeOnDealloc: true) : nil
  var status = stat()
  // A socket cannot be opened, and the system's reason does not say that it is a socket.
  let isKnown = handle == nil ? stat(path, &status) == 0 : fstat(descriptor, &status) == 0
  if isKnown, let kind = kind(status) { throw InputError(sentence("is \(kind): expected a file", at: path)) }
  guard let handle, isKnown else { throw InputError(sentence("cannot be read: \(systemReason())", at: path)) }
  return (handle, Int(status.st_size))
}
