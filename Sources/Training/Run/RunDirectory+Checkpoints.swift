import Foundation
import WidebandCheckedInput
import WidebandCheckpoint
import WidebandData

extension RunDirectory {
  /// A complete checkpoint.
  public struct CheckpointFolder: Hashable, Sendable {
    /// The number of optimizer steps taken.
    public let step: Int
    /// The path of the folder.
    public let path: String

    /// The checkpoint of a step in the folder of a run.
    public init(step: Int, in run: String) {
      (self.step, path) = (step, "\(run)/checkpoints/\(RunDirectory.name(of: step))")
    }
  }

  private static let prefix = "step-"

  /// The path of the link to the best checkpoint.
  var bestPath: String { "\(path)/best" }

  /// The path of a checkpoint while it is deleted.
  var deletedPath: String { "\(checkpointsPath)/.deleted" }

  /// All complete checkpoints, the newest first.
  ///
  /// - Throws: `RunDirectoryError` if the folder cannot be read or contains a checkpoint of a step out of bounds.
  public func checkpoints() throws -> [CheckpointFolder] {
    let names: [String]
    do { names = try FileManager.default.contentsOfDirectory(atPath: checkpointsPath) } catch {
      throw RunDirectoryError.inaccessible(
        path: checkpointsPath, sentence: "the folder cannot be read: \(reason(error))")
    }
    let folders = try names.compactMap { name -> CheckpointFolder? in
      let digits = name.dropFirst(Self.prefix.count)
      guard name.hasPrefix(Self.prefix), !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
        return nil
      }
      guard let step = Int(digits), Limits.steps.contains(step) else {
        throw RunDirectoryError.damaged(
          path: "\(checkpointsPath)/\(name)",
          sentence: "is a checkpoint of a step that no run takes: expected one " + describe(Limits.steps))
      }
      // Names with another spelling of the number are not checkpoints of this library.
      return name == Self.name(of: step) ? CheckpointFolder(step: step, in: path) : nil
    }
    return folders.sorted { $0.step > $1.step }
  }

  /// Writes the checkpoint of a step atomically: it appears under its name when it is complete.
  ///
  /// - Parameter body: writes the files into a temporary folder.
  /// - Throws: `CheckpointError` that names the path and the system's reason; what `body` throws.
  @discardableResult
  public func writeCheckpoint(step: Int, _ body: (URL) throws -> Void) throws -> CheckpointFolder {
    let folder = CheckpointFolder(step: step, in: path)
    try AtomicFolder.write(to: fileURL(folder.path, directoryHint: .isDirectory), replacing: true, body)
    return folder
  }

  /// The checkpoint that was marked as the best, if it still exists.
  public func best() throws -> CheckpointFolder? {
    guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: bestPath) else { return nil }
    return try checkpoints().first { target == Self.link(to: $0.step) }
  }

  /// Links `best` to the checkpoint of a step.
  ///
  /// - Throws: `RunDirectoryError` if that does not exist or the link cannot be written.
  public func markBest(step: Int) throws {
    guard try checkpoints().contains(where: { $0.step == step }) else {
      throw RunDirectoryError.damaged(path: checkpointsPath, sentence: "there is no checkpoint of step \(step)")
    }
    // Written under another name and renamed, which replaces the old link atomically.
    let temporary = "\(path)/.best"
    unlink(temporary)
    guard symlink(Self.link(to: step), temporary) == 0, rename(temporary, bestPath) == 0 else {
      throw RunDirectoryError.inaccessible(path: bestPath, sentence: "the link cannot be written: \(systemReason())")
    }
  }

  /// Deletes all checkpoints but the newest `count` and the best.
  ///
  /// - Throws: `RunDirectoryError` if one cannot be removed.
  public func keepCheckpoints(newest count: Int) throws {
    let best = try best()
    for folder in try checkpoints().dropFirst(count) where folder != best {
      // Renamed first, so that a killed process does not leave a partial checkpoint under the name of a complete one.
      try? FileManager.default.removeItem(atPath: deletedPath)
      guard rename(folder.path, deletedPath) == 0 else {
        throw RunDirectoryError.inaccessible(path: folder.path, sentence: "cannot be removed: \(systemReason())")
      }
      try? FileManager.default.removeItem(atPath: deletedPath)
    }
  }

  private static func name(of step: Int) -> String { prefix + String(format: "%08ld", step) }

  private static func link(to step: Int) -> String { "checkpoints/\(name(of: step))" }
}
