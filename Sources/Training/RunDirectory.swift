import CheckedInput
import Checkpoint
import Foundation

/// The folder of a training run, held by one process at a time.
///
///     RUN/recipe.yaml          what was asked for, complete
///     RUN/metrics.jsonl        a line a step
///     RUN/log.txt              what the terminal showed
///     RUN/events.out.tfevents… the same for TensorBoard
///     RUN/checkpoints/step-00000100/
///     RUN/best                 a link to the checkpoint with the lowest held-out loss
///
/// The folder is held until this object is gone; the system lets go of it when the process dies, however it dies.
public final class RunDirectory {
  /// Where the folder is.
  public let path: String
  /// Whether the folder was made for this run.
  private let isNew: Bool
  private let lock: RunDirectoryLock

  /// The resolved recipe.
  public var recipePath: String { "\(path)/recipe.yaml" }
  /// What `MetricsWriter` writes.
  public var metricsPath: String { "\(path)/metrics.jsonl" }
  /// The log.
  public var logPath: String { "\(path)/log.txt" }
  /// The folder of the checkpoints.
  public var checkpointsPath: String { "\(path)/checkpoints" }

  /// Makes the folder of a new run.
  ///
  /// - Throws: `RunDirectoryError` if the folder holds a run, or another process holds the folder, or it cannot be written.
  public convenience init(creating path: String) throws {
    let isNew = !FileManager.default.isFolder(path)
    if let reason = FileManager.default.makeFolder(path) {
      throw RunDirectoryError(path, "the run folder cannot be created: \(reason)")
    }
    try self.init(path, isNew: isNew)
    try lock.removedIfFailing {
      let traces = [recipePath, metricsPath].filter(isThere)
      guard traces.isEmpty else {
        throw RunDirectoryError(path, "holds a run already; continue it with --resume, or choose another folder")
      }
      // Whatever has the name of something that a run writes, somebody made before this one.
      if let name = try namesOfRuns().first {
        throw RunDirectoryError(path, "holds \(quoted(name)), as a run would write it: expected another folder")
      }
      try makeCheckpointsFolder()
    }
  }

  /// Opens the folder of a run to continue it, and removes what a killed process left half done.
  ///
  /// - Throws: `RunDirectoryError` if there is no run, or one whose checkpoints are gone, or another process holds the
  ///   folder, or it cannot be written.
  public convenience init(resuming path: String) throws {
    guard FileManager.default.isFolder(path) else { throw RunDirectoryError(path, "no such run folder") }
    guard isThere("\(path)/recipe.yaml") else {
      throw RunDirectoryError(path, "holds no run to resume: there is no recipe.yaml")
    }
    guard !isThere("\(path)/\(TrainingCheckpoint.progressName)") else {
      throw RunDirectoryError(path, "is a checkpoint: expected the folder of its run")
    }
    try self.init(path, isNew: false)
    try lock.removedIfFailing {
      guard FileManager.default.isFolder(checkpointsPath) || FileManager.default.sizeOfFile(metricsPath) == 0 else {
        throw RunDirectoryError(
          path,
          "has metrics of a run, but no folder checkpoints to continue it from: expected that folder; remove "
            + "metrics.jsonl to begin at step 0")
      }
      guard !isThere(bestPath) || (try? FileManager.default.destinationOfSymbolicLink(atPath: bestPath)) != nil else {
        throw RunDirectoryError(bestPath, "is no link: expected one to a checkpoint, or nothing of that name")
      }
      try makeCheckpointsFolder()
    }
    try AtomicFolder.sweep(in: fileURL(path, directoryHint: .isDirectory))
    try AtomicFolder.sweep(in: fileURL(checkpointsPath, directoryHint: .isDirectory))
    try? FileManager.default.removeItem(atPath: deletedPath)
  }

  private init(_ path: String, isNew: Bool) throws {
    self.path = path
    self.isNew = isNew
    lock = try RunDirectoryLock(path)
  }

  /// Takes away what was made for a run that failed before its first step was written down; a folder that was there
  /// before stays, and so does whatever a run does not write.
  public func discardUnbegunRun() {
    guard FileManager.default.sizeOfFile(metricsPath) == 0, (try? checkpoints())?.isEmpty == true else { return }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    for name in names where name.hasPrefix(TensorBoardWriter.prefix) { unlink("\(path)/\(name)") }
    for file in [recipePath, metricsPath, logPath] { unlink(file) }
    rmdir(checkpointsPath)
    unlink(RunDirectoryLock.path(in: path))
    if isNew { rmdir(path) }
  }

  /// What is in the folder under names that runs write, but for those of a run that was killed as it began.
  private func namesOfRuns() throws -> [String] {
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: path)
      let isEmpty =
        try !FileManager.default.isFolder(checkpointsPath)
        || FileManager.default.contentsOfDirectory(atPath: checkpointsPath).isEmpty
      if !isEmpty { return ["checkpoints"] }
    } catch { throw RunDirectoryError(path, "cannot be listed: \(systemReason())") }
    return names.sorted().filter { $0 == "log.txt" || $0 == "best" || $0.hasPrefix(TensorBoardWriter.prefix) }
  }

  private func makeCheckpointsFolder() throws {
    if let reason = FileManager.default.makeFolder(checkpointsPath) {
      throw RunDirectoryError(checkpointsPath, "the folder cannot be created: \(reason)")
    }
  }
}

/// The right to write into a run folder, which one process has at a time.
final class RunDirectoryLock {
  private let descriptor: Int32
  private let file: String
  private let isNew: Bool

  /// - Throws: `RunDirectoryError` naming the process that has it, or why the lock file cannot be written.
  init(_ folder: String) throws {
    file = Self.path(in: folder)
    isNew = !isThere(file)
    descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      throw RunDirectoryError(folder, "the run folder cannot be written: \(systemReason())")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let code = errno
      let holder = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
      close(descriptor)
      guard code == EWOULDBLOCK else { throw RunDirectoryError(folder, "cannot be locked: \(systemReason(code))") }
      let process = holder.isEmpty ? "" : " (pid \(printable(holder)))"
      throw RunDirectoryError(folder, "another process\(process) is training here")
    }
    ftruncate(descriptor, 0)
    // The number is only for that message: without it the lock holds just as well.
    let process = Array("\(getpid())".utf8)
    _ = pwrite(descriptor, process, process.count, 0)
  }

  deinit { close(descriptor) }

  /// Does what needs the lock. Where it fails, a lock file that was not there goes: a folder that is refused stays as it
  /// was.
  func removedIfFailing(_ body: () throws -> Void) throws {
    do { try body() } catch {
      if isNew { unlink(file) }
      throw error
    }
  }

  static func path(in folder: String) -> String { "\(folder)/.lock" }
}
