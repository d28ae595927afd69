import Foundation

/// Whether a folder, or a link to one, exists at `path`.
package func isFolder(_ path: String) -> Bool {
  var status = stat()
  return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
}

/// The size in bytes of the file at `path`, links followed; 0 if it does not exist.
package func sizeOfFile(_ path: String) -> Int {
  var status = stat()
  return stat(path, &status) == 0 ? Int(status.st_size) : 0
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
