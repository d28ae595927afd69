import Foundation

/// Writes folders that are there in full or not at all.
public enum AtomicFolder {
  /// Writes or replaces the folder at `url`, whose parent must exist.
  ///
  /// An old folder is moved aside, the new one takes its name, and the old one is deleted with all that was in it. A
  /// process killed between the two renames leaves no folder of that name; `sweep` brings the old one back.
  ///
  /// - Parameter body: fills the temporary folder that it is given. If it throws, everything stays as it was.
  /// - Throws: `CheckpointError` naming the path and the system's reason, or what `body` throws.
  public static func write(to url: URL, _ body: (URL) throws -> Void) throws {
    let url = url.standardizedFileURL
    let parent = url.deletingLastPathComponent()
    let temporary = parent.appending(path: TemporaryName().text)
    guard mkdir(temporary.path, 0o777) == 0 else {
      throw CheckpointError(errno, url.path, "cannot create a temporary folder beside it")
    }
    do {
      try body(temporary)
      try synchronizeContents(of: temporary)
      try move(temporary, to: url, in: parent)
    } catch {
      try? FileManager.default.removeItem(at: temporary)
      throw (error as? CheckpointError)?.replacing(temporary.path, with: url.path) ?? error
    }
    try FileDescriptor(reading: parent.path).synchronize()
  }

  /// Removes what killed processes left in `folder`, and brings back a folder that one of them had moved aside.
  ///
  /// Temporary names of processes that still run on this machine are left alone.
  ///
  /// - Throws: `CheckpointError` if the folder cannot be read or something in it cannot be removed.
  public static func sweep(in folder: URL) throws {
    for name in try listing(of: folder.path, recursively: false) {
      guard let temporary = TemporaryName(name), temporary.isLeftOver else { continue }
      let leftOver = folder.appending(path: name)
      // Only a rename that finds nothing in its way brings a folder back: a newer one of that name stays.
      if let replaced = temporary.replaced {
        let original = folder.appending(path: replaced).path
        if !FileManager.default.fileExists(atPath: original), rename(leftOver.path, original) == 0 { continue }
      }
      do { try FileManager.default.removeItem(at: leftOver) } catch {
        throw CheckpointError(leftOver.path, "cannot be removed: \(error.localizedDescription)")
      }
    }
  }

  private static func move(_ new: URL, to url: URL, in parent: URL) throws {
    if rename(new.path, url.path) == 0 { return }
    guard errno == ENOTEMPTY || errno == EEXIST else {
      throw CheckpointError(errno, url.path, "cannot rename the temporary folder into place")
    }
    let old = parent.appending(path: TemporaryName(replacing: url.lastPathComponent).text)
    guard rename(url.path, old.path) == 0 else { throw CheckpointError(errno, url.path, "cannot be moved aside") }
    guard rename(new.path, url.path) == 0 else {
      let code = errno
      rename(old.path, url.path)
      throw CheckpointError(code, url.path, "cannot rename the temporary folder into place")
    }
    // The new folder is in place, so a failure here is no failure of the write; `sweep` tries again.
    try? FileManager.default.removeItem(at: old)
  }

  private static func synchronizeContents(of folder: URL) throws {
    for name in try listing(of: folder.path, recursively: true) {
      try FileDescriptor(reading: folder.appending(path: name).path).synchronize()
    }
    try FileDescriptor(reading: folder.path).synchronize()
  }

  private static func listing(of path: String, recursively: Bool) throws -> [String] {
    do {
      return try recursively
        ? FileManager.default.subpathsOfDirectory(atPath: path) : FileManager.default.contentsOfDirectory(atPath: path)
    } catch { throw CheckpointError(path, "cannot be listed: \(error.localizedDescription)") }
  }
}
