import CheckedInput
import Checkpoint
import Foundation

extension RunDirectory {
  /// A complete checkpoint.
  public struct CheckpointFolder: Hashable, Sendable {
    /// Optimizer steps that were done.
    public let step: Int
    /// Where it is.
    public let path: String
  }

  private static let prefix = "step-"
  var bestPath: String { "\(path)/best" }

  /// What a checkpoint is called while it is being deleted.
  var deletedPath: String { "\(checkpointsPath)/.deleted" }

  /// All complete checkpoints, the newest first.
  ///
  /// - Throws: `RunDirectoryError` if the folder cannot be read, or has a checkpoint of a step that no run takes.
  public func checkpoints() throws -> [CheckpointFolder] {
    let names: [String]
    do { names = try FileManager.default.contentsOfDirectory(atPath: checkpointsPath) } catch {
      throw RunDirectoryError(checkpointsPath, "the folder cannot be read: \(reason(error))")
    }
    let folders = try names.compactMap { name -> CheckpointFolder? in
      let digits = name.dropFirst(Self.prefix.count)
      guard name.hasPrefix(Self.prefix), !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
        return nil
      }
      guard let step = Int(digits), Limits.steps.contains(step) else {
        throw RunDirectoryError(
          "\(checkpointsPath)/\(name)",
          "is a checkpoint of a step that no run takes: expected one "
            + describe(Limits.steps))
      }
      // Another spelling of the number is not a name that is written here.
      return name == Self.name(of: step) ? CheckpointFolder(step: step, path: "\(checkpointsPath)/\(name)") : nil
    }
    return folders.sorted { $0.step > $1.step }
  }

  /// Writes the checkpoint of a step: it is complete when it appears under its name.
  ///
  /// - Parameter body: writes the files into the folder that it is given.
  /// - Throws: `CheckpointError` naming the path and the system's reason, or what `body` throws.
  @discardableResult
  public func writeCheckpoint(step: Int, _ body: (URL) throws -> Void) throws -> CheckpointFolder {
    let folder = CheckpointFolder(step: step, path: "\(checkpointsPath)/\(Self.name(of: step))")
    try AtomicFolder.write(to: fileURL(folder.path, directoryHint: .isDirectory), replacing: true, body)
    return folder
  }

  /// The checkpoint with the lowest held-out loss, if one was marked and is still there.
  public func best() throws -> CheckpointFolder? {
    guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: bestPath) else { return nil }
    return try checkpoints().first { target == Self.link(to: $0.step) }
  }

  /// Lets `best` lead to the checkpoint of a step, which must be there.
  public func markBest(step: Int) throws {
    guard try checkpoints().contains(where: { $0.step == step }) else {
      throw RunDirectoryError(checkpointsPath, "there is no checkpoint of step \(step)")
    }
    // A link cannot be replaced, but another one can be renamed over it.
    let temporary = "\(path)/.best"
    unlink(temporary)
    guard symlink(Self.link(to: step), temporary) == 0, rename(temporary, bestPath) == 0 else {
      throw RunDirectoryError(bestPath, "the link cannot be written: \(systemReason())")
    }
  }

  /// Deletes all checkpoints but the newest `count` and the best.
  public func keepCheckpoints(newest count: Int) throws {
    let best = try best()
    for folder in try checkpoints().dropFirst(count) where folder != best {
      // Renamed first, so that a process killed in the middle leaves no half checkpoint under a complete one's name.
      try? FileManager.default.removeItem(atPath: deletedPath)
      guard rename(folder.path, deletedPath) == 0 else {
        throw RunDirectoryError(folder.path, "cannot be removed: \(systemReason())")
      }
      try? FileManager.default.removeItem(atPath: deletedPath)
    }
  }

  private static func name(of step: Int) -> String {
    let digits = String(step)
    return prefix + String(repeating: "0", count: max(0, 8 - digits.count)) + digits
  }

  private static func link(to step: Int) -> String { "checkpoints/\(name(of: step))" }
}
