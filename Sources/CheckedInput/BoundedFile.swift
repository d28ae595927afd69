import Foundation

/// The content of a regular file of bounded size.
///
/// - Parameter limit: the maximum size in bytes.
/// - Throws: `InputError` naming the file and why it cannot be read, or its size.
public func boundedContents(of file: URL, limit: Int) throws -> Data {
  let handle = try openRegularFile(file.path)
  defer { try? handle.close() }
  let size = try sizeOfRegularFile(file.path)
  guard size <= limit else {
    throw InputError("\(printable(path: file.path)): has \(size) bytes: expected at most \(limit)")
  }
  do {
    // A file that grows meanwhile is not read beyond the limit.
    return try handle.read(upToCount: limit) ?? Data()
  } catch { throw InputError("\(printable(path: file.path)): cannot be read: \(reason(error))") }
}

/// Opens a regular file, or a link to one, for reading.
///
/// A FIFO without a writer would block forever, and a device may have no end: both are refused without waiting.
///
/// - Throws: `InputError` naming the file and what it is, or why it cannot be opened.
public func openRegularFile(_ path: String) throws -> FileHandle {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
  guard descriptor >= 0 else {
    // A socket cannot be opened, and the system's reason does not say that it is a socket.
    if let kind = irregularKind(path) { throw InputError("\(printable(path: path)): is \(kind): expected a file") }
    throw InputError("\(printable(path: path)): cannot be read: \(systemReason())")
  }
  let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
  var status = stat()
  guard fstat(descriptor, &status) == 0 else {
    throw InputError("\(printable(path: path)): cannot be read: \(systemReason())")
  }
  if let kind = kind(status) { throw InputError("\(printable(path: path)): is \(kind): expected a file") }
  return handle
}

/// The size in bytes of a regular file, or of the target of a link.
///
/// - Throws: `InputError` naming the file and what it is, or why it cannot be examined.
public func sizeOfRegularFile(_ path: String) throws -> Int {
  var status = stat()
  guard stat(path, &status) == 0 else {
    throw InputError("\(printable(path: path)): cannot be read: \(systemReason())")
  }
  if let kind = kind(status) { throw InputError("\(printable(path: path)): is \(kind): expected a file") }
  return Int(status.st_size)
}

/// Whether a file or folder exists at a path; links are followed.
///
/// A path that this user may not examine counts as existing: reading it then reports the real reason, where "no such
/// file" would be wrong.
public func isThere(_ path: String) -> Bool {
  var status = stat()
  return stat(path, &status) == 0 || ![ENOENT, ENOTDIR].contains(errno)
}

/// The kind of what is at a path if it is not a regular file, such as "a FIFO"; nil for a regular file and for a
/// missing path. Links are followed.
public func irregularKind(_ path: String) -> String? {
  var status = stat()
  return stat(path, &status) == 0 ? kind(status) : nil
}

private func kind(_ status: stat) -> String? {
  switch status.st_mode & S_IFMT {
  case S_IFREG: nil
  case S_IFDIR: "a folder"
  case S_IFIFO: "a FIFO"
  case S_IFSOCK: "a socket"
  case S_IFCHR, S_IFBLK: "a device"
  default: "not a file"
  }
}
