import CheckedInput
import Foundation

/// Writes folders that are there in full or not at all.
public enum AtomicFolder {
  /// Writes the folder at `url`, whose parent must exist. Of a link, the folder that it leads to is meant.
  ///
  /// An old folder and the new one change places in one step, and the old one is deleted with all that was in it. A
  /// file system that cannot exchange folders moves the old one aside first; a process killed between the two renames
  /// leaves no folder of that name there, and `sweep` brings the old one back.
  ///
  /// What killed processes left next to it is removed.
  ///
  /// - Parameters:
  ///   - isReplacing: whether an old folder with something in it is replaced; if not, it is an error.
  ///   - body: fills the temporary folder that it is given. If it throws, everything stays as it was.
  /// - Throws: `CheckpointError` naming the path and the system's reason, or what `body` throws.
  public static func write(to url: URL, replacing isReplacing: Bool = false, _ body: (URL) throws -> Void) throws {
    let target = url.standardizedFileURL.resolvingSymlinksInPath()
    let parent = target.deletingLastPathComponent()
    // What cannot be removed, such as another user's, is nothing to this folder.
    try? sweep(in: parent)
    let temporary = parent.appending(path: TemporaryName().text)
    guard mkdir(temporary.path, 0o777) == 0 else {
      throw CheckpointError(errno, url.path, "cannot create a temporary folder beside it")
    }
    let holder = try? FileDescriptor(reading: temporary.path)
    _ = holder?.lock()
    do {
      try body(temporary)
      try synchronizeContents(of: temporary)
      try move(temporary, to: target, url.path, replacing: isReplacing)
    } catch {
      try? FileManager.default.removeItem(at: temporary)
      throw (error as? CheckpointError)?.replacing(temporary.path, with: url.path) ?? error
    }
    try withExtendedLifetime(holder) { try FileDescriptor(reading: parent.path).synchronize() }
  }

  /// Removes what killed processes left in `folder`, and brings back a folder that one of them had moved aside.
  ///
  /// Temporary names of processes that still run on this machine are left alone.
  ///
  /// - Throws: `CheckpointError` if the folder cannot be read, or for the first thing in it that cannot be removed;
  ///   everything else is removed all the same.
  public static func sweep(in folder: URL) throws {
    var failure: CheckpointError?
    for name in try listing(of: folder.path, recursively: false) {
      let leftOver = folder.appending(path: name)
      guard let temporary = TemporaryName(name), temporary.isLeftOver(at: leftOver) else { continue }
      // Only a rename that finds nothing in its way brings a folder back: a newer one of that name stays.
      if let replaced = temporary.replaced {
        let original = folder.appending(path: replaced).path
        if !FileManager.default.fileExists(atPath: original), rename(leftOver.path, original) == 0 { continue }
      }
      do { try FileManager.default.removeItem(at: leftOver) } catch {
        failure = failure ?? CheckpointError(leftOver.path, "cannot be removed: \(reason(error))")
      }
    }
    if let failure { throw failure }
  }

  private static func move(_ new: URL, to target: URL, _ path: String, replacing isReplacing: Bool) throws {
    if rename(new.path, target.path) == 0 { return }
    guard errno == ENOTEMPTY || errno == EEXIST else {
      throw CheckpointError(errno, path, "cannot rename the temporary folder into place")
    }
    guard isReplacing else { throw CheckpointError(path, occupied) }
    // The new folder is in place after this, so that what cannot be removed is no failure of the write.
    if exchange(new.path, target.path) {
      try? FileManager.default.removeItem(at: new)
      return
    }
    let aside = TemporaryName(replacing: target.lastPathComponent).text
    let old = target.deletingLastPathComponent().appending(path: aside)
    guard rename(target.path, old.path) == 0 else { throw CheckpointError(errno, path, "cannot be moved aside") }
    guard rename(new.path, target.path) == 0 else {
      let code = errno
      rename(old.path, target.path)
      throw CheckpointError(code, path, "cannot rename the temporary folder into place")
    }
    try? FileManager.default.removeItem(at: old)
  }

  /// What is said of a folder that may not be replaced.
  static let occupied = "exists already and is not empty: expected the name of a new folder"

  /// Lets two folders change names in one step; false where the file system cannot.
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

    /// `renameat2` of the C library, whose headers show it to GNU C alone; its flag 2 is RENAME_EXCHANGE.
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
    } catch { throw CheckpointError(path, "cannot be listed: \(reason(error))") }
  }
}
