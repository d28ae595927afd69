import Foundation
import WidebandCheckedInput

/// Writes folders atomically: a reader sees the old folder or the new one, never a part.
public enum AtomicFolder {
  /// Writes the folder at `url`, whose parent must exist. Links are followed.
  ///
  /// The new folder is exchanged with an old one in one step, and the old one is deleted with its content. On a file
  /// system that cannot exchange folders, the old one is moved aside first; if the process is killed between the two
  /// renames, no folder of that name exists until `sweep` restores the old one.
  ///
  /// Temporary files and folders of killed processes in the same parent are removed.
  ///
  /// - Parameters:
  ///   - isReplacing: whether an old folder that is not empty is replaced; if not, it is an error.
  ///   - body: fills the temporary folder that it is given. If it throws, nothing changes.
  /// - Throws: `CheckpointError` naming the path and the system's reason, or what `body` throws.
  public static func write(to url: URL, replacing isReplacing: Bool = false, _ body: (URL) throws -> Void) throws {
    let target = url.standardizedFileURL.resolvingSymlinksInPath()
    let parent = target.deletingLastPathComponent()
    // Files that cannot be removed, such as another user's, do not affect this write.
    try? sweep(in: parent)
    let temporary = parent.appending(path: TemporaryName().text)
    let path = url.path
    guard mkdir(temporary.path, 0o777) == 0 else {
      throw CheckpointError.notWritable(path, "cannot create a temporary folder next to it", errno: errno)
    }
    let holder = try? FileDescriptor(reading: temporary.path)
    _ = holder?.lock()
    do {
      try body(temporary)
      try synchronizeContents(of: temporary)
      try move(temporary, to: target, path, replacing: isReplacing)
    } catch {
      try? FileManager.default.removeItem(at: temporary)
      throw (error as? CheckpointError)?.replacing(temporary.path, with: path) ?? error
    }
    try withExtendedLifetime(holder) { try FileDescriptor(reading: parent.path).synchronize() }
  }

  /// Removes temporary files and folders of killed processes in `folder`, and restores a folder that one of them had
  /// moved aside.
  ///
  /// Temporary names of processes that still run are left alone.
  ///
  /// - Throws: `CheckpointError` if the folder cannot be listed, or for the first entry that cannot be removed; all
  ///   other entries are removed anyway.
  public static func sweep(in folder: URL) throws {
    var failure: CheckpointError?
    for name in try listing(of: folder.path, recursively: false) {
      let leftOver = folder.appending(path: name)
      guard let temporary = TemporaryName(name), temporary.isLeftOver(at: leftOver) else { continue }
      // A folder is restored only if no newer one of that name exists.
      if let replaced = temporary.replaced {
        let original = folder.appending(path: replaced).path
        if !exists(original), rename(leftOver.path, original) == 0 { continue }
      }
      do { try FileManager.default.removeItem(at: leftOver) } catch {
        failure = failure ?? CheckpointError.notWritable(leftOver.path, "cannot be removed: \(reason(error))")
      }
    }
    if let failure { throw failure }
  }

  private static func move(_ new: URL, to target: URL, _ path: String, replacing isReplacing: Bool) throws {
    if rename(new.path, target.path) == 0 { return }
    guard errno == ENOTEMPTY || errno == EEXIST else {
      throw CheckpointError.notWritable(path, "cannot rename the temporary folder into place", errno: errno)
    }
    guard isReplacing else { throw CheckpointError.exists(path, occupied) }
    // The new folder is in place after the exchange: if the old one cannot be removed, the write has still succeeded.
    if exchange(new.path, target.path) {
      try? FileManager.default.removeItem(at: new)
      return
    }
    let aside = TemporaryName(replacing: target.lastPathComponent).text
    let old = target.deletingLastPathComponent().appending(path: aside)
    guard rename(target.path, old.path) == 0 else {
      throw CheckpointError.notWritable(path, "cannot be moved aside", errno: errno)
    }
    guard rename(new.path, target.path) == 0 else {
      let code = errno
      rename(old.path, target.path)
      throw CheckpointError.notWritable(path, "cannot rename the temporary folder into place", errno: code)
    }
    try? FileManager.default.removeItem(at: old)
  }

  /// The error sentence for a folder that may not be replaced.
  static let occupied = "exists already and is not empty: expected the name of a new folder"

  /// Exchanges the names of two folders in one step; false where the file system cannot.
  private static func exchange(_ one: String, _ other: String) -> Bool {
    #if canImport(Darwin)
      renamex_np(one, other, UInt32(RENAME_SWAP)) == 0
    #else
      renameAt2?(AT_FDCWD, one, AT_FDCWD, other, 1 << 1) == 0
    #endif
  }

  #if !canImport(Darwin)
    private typealias RenameAt2 =
      @convention(c) (
        Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32
      ) -> Int32

    /// `renameat2`, which the C library's headers declare for GNU C only. Flag 2 is RENAME_EXCHANGE.
    private static let renameAt2 = dlsym(nil, "renameat2").map { unsafeBitCast($0, to: RenameAt2.self) }
  #endif

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
    } catch { throw CheckpointError.unreadable(path, "cannot be listed: \(reason(error))") }
  }
}
