import CheckedInput
import Foundation

extension FileManager {
  /// Whether there is a folder, or a link to one, at `path`.
  func isFolder(_ path: String) -> Bool {
    var isFolder: ObjCBool = false
    return fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
  }

  /// The size in bytes of the file, or of the file that a link at `path` leads to; 0 if there is none.
  func sizeOfFile(_ path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : 0
  }

  /// Makes a folder and those above it unless they are there.
  ///
  /// - Returns: nil, or the system's words for why it cannot be made (Foundation's error has lost them).
  package func makeFolder(_ path: String) -> String? {
    if mkdir(path, 0o777) == 0 { return nil }
    let code = errno
    if isFolder(path) { return nil }
    let parent = fileURL(path, directoryHint: .isDirectory).deletingLastPathComponent().path
    guard code == ENOENT, parent != path else { return systemReason(code) }
    if let reason = makeFolder(parent) { return reason }
    return mkdir(path, 0o777) == 0 ? nil : systemReason()
  }
}
