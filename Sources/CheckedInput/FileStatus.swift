import Foundation

/// The status of the file or folder at a path, links followed; nil if it does not exist or may not be examined.
package func fileStatus(_ path: String) -> stat? {
  var status = stat()
  return stat(path, &status) == 0 ? status : nil
}

/// Whether a file or folder exists at a path; links are followed.
///
/// A path that this user may not examine counts as existing: reading it then reports the real reason, where "no such
/// file" would be wrong.
public func exists(_ path: String) -> Bool { fileStatus(path) != nil || ![ENOENT, ENOTDIR].contains(errno) }

/// Whether a folder, or a link to one, exists at `path`.
package func isFolder(_ path: String) -> Bool { fileStatus(path).map { $0.st_mode & S_IFMT == S_IFDIR } ?? false }

/// The size in bytes of the file at `path`, links followed; 0 if it does not exist.
package func sizeOfFile(_ path: String) -> Int { fileStatus(path).map { Int($0.st_size) } ?? 0 }

/// The kind of what is at a path if it is not a regular file, such as "a FIFO"; nil for a regular file and for a
/// missing path. Links are followed.
public func irregularKind(_ path: String) -> String? { fileStatus(path).flatMap(kind) }

/// The kind of what has this status if it is not a regular file, such as "a FIFO"; nil for a regular file.
func kind(_ status: stat) -> String? {
  switch status.st_mode & S_IFMT {
  case S_IFREG: nil
  case S_IFDIR: "a folder"
  case S_IFIFO: "a FIFO"
  case S_IFSOCK: "a socket"
  case S_IFCHR, S_IFBLK: "a device"
  default: "not a file"
  }
}

/// Creates a folder with its parents, unless it exists.
///
/// - Returns: nil, or the system's reason for the failure, which Foundation's error lacks.
package func makeFolder(_ path: String) -> String? {
  if mkdir(path, 0o777) == 0 { return nil }
  let code = errno
  if isFolder(path) { return nil }
  let parent = fileURL(path, directoryHint: .isDirectory).deletingLastPathComponent().path
  guard code == ENOENT, parent != path else { return systemReason(code) }
  if let reason = makeFolder(parent) { return reason }
  return mkdir(path, 0o777) == 0 ? nil : systemReason()
}
