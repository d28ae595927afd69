import Foundation
import WidebandCheckedInput
import WidebandCheckpoint
import WidebandData

/// The folder of a training run, locked by one process at a time.
///
///     RUN/recipe.yaml          the resolved recipe
///     RUN/metrics.jsonl        one line per step
///     RUN/log.txt              the output on the terminal
///     RUN/events.out.tfevents… the metrics for TensorBoard
///     RUN/checkpoints/step-00000100/
///     RUN/best                 a link to the checkpoint with the lowest held-out loss
///
/// The lock is released with this object, or by the system when the process ends.
public final class RunDirectory {
  /// The path of the folder.
  public let path: String
  /// Whether the folder was created for this run.
  private let isNew: Bool
  private let lock: RunDirectoryLock

  /// The path of the resolved recipe.
  public var recipePath: String { "\(path)/recipe.yaml" }
  /// The path of the file that `MetricsWriter` writes.
  public var metricsPath: String { "\(path)/metrics.jsonl" }
  /// The path of the log.
  public var logPath: String { "\(path)/log.txt" }
  /// The path of the folder of checkpoints.
  public var checkpointsPath: String { "\(path)/checkpoints" }

  /// Creates and locks the folder of a new run.
  ///
  /// - Throws: `RunDirectoryError` if the folder contains a run, is locked by another process, or cannot be written.
  public convenience init(creating path: String) throws {
    let isNew = !isFolder(path)
    if let reason = makeFolder(path) {
      throw RunDirectoryError.inaccessible(path: path, sentence: "the run folder cannot be created: \(reason)")
    }
    try self.init(path, isNew: isNew)
    try lock.removedIfFailing {
      let traces = [recipePath, metricsPath].filter(exists)
      guard traces.isEmpty else {
        throw RunDirectoryError.occupied(
          path: path, sentence: "holds a run already; continue it with --resume, or choose another folder")
      }
      // Other files with the names of a run's files must not be overwritten.
      if let name = try namesOfRuns().first {
        throw RunDirectoryError.occupied(
          path: path, sentence: "holds \(quoted(name)), as a run would write it: expected another folder")
      }
      try makeCheckpointsFolder()
    }
  }

  /// Locks the folder of a run to continue it, and removes the temporary files of a killed process.
  ///
  /// - Throws: `RunDirectoryError` if there is no run, its checkpoints are missing, the folder is locked by another
  ///   process, or it cannot be written.
  public convenience init(resuming path: String) throws {
    guard isFolder(path) else {
      throw RunDirectoryError.noRun(path: path, sentence: "no such run folder")
    }
    guard exists("\(path)/recipe.yaml") else {
      throw RunDirectoryError.noRun(path: path, sentence: "holds no run to resume: there is no recipe.yaml")
    }
    guard !exists("\(path)/\(TrainingCheckpoint.progressName)") else {
      throw RunDirectoryError.noRun(path: path, sentence: "is a checkpoint: expected the folder of its run")
    }
    try self.init(path, isNew: false)
    try lock.removedIfFailing {
      guard isFolder(checkpointsPath) || sizeOfFile(metricsPath) == 0 else {
        throw RunDirectoryError.damaged(
          path: path,
          sentence: "has metrics of a run, but no folder checkpoints to continue it from: expected that folder; remove "
            + "metrics.jsonl to begin at step 0")
      }
      guard !exists(bestPath) || (try? FileManager.default.destinationOfSymbolicLink(atPath: bestPath)) != nil else {
        throw RunDirectoryError.damaged(
          path: bestPath, sentence: "is no link: expected one to a checkpoint, or nothing of that name")
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

  /// Removes the files of a run that failed before its first step. Other files are left alone, and so is a folder that
  /// existed before the run.
  public func discardUnbegunRun() {
    guard sizeOfFile(metricsPath) == 0, (try? checkpoints())?.isEmpty == true else { return }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    for name in names where name.hasPrefix(TensorBoardWriter.prefix) || name.hasPrefix("log-rank-") {
      unlink("\(path)/\(name)")
    }
    for file in [recipePath, metricsPath, logPath] { unlink(file) }
    rmdir(checkpointsPath)
    unlink(RunDirectoryLock.path(in: path))
    if isNew { rmdir(path) }
  }

  /// The files that are named like a run's, except for those that remain of a run that was killed at its start.
  private func namesOfRuns() throws -> [String] {
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: path)
      let isEmpty =
        try !isFolder(checkpointsPath)
        || FileManager.default.contentsOfDirectory(atPath: checkpointsPath).isEmpty
      if !isEmpty { return ["checkpoints"] }
    } catch { throw RunDirectoryError.inaccessible(path: path, sentence: "cannot be listed: \(systemReason())") }
    return names.sorted().filter { $0 == "log.txt" || $0 == "best" || $0.hasPrefix(TensorBoardWriter.prefix) }
  }

  private func makeCheckpointsFolder() throws {
    if let reason = makeFolder(checkpointsPath) {
      throw RunDirectoryError.inaccessible(
        path: checkpointsPath, sentence: "the folder cannot be created: \(reason)")
    }
  }
}

/// The exclusive lock of the folder of a run or study.
package final class RunDirectoryLock {
  private let descriptor: Int32
  private let file: String
  private let isNew: Bool

  /// - Throws: `RunDirectoryError` that names the process with the lock, or why the lock file cannot be written.
  package init(_ folder: String) throws {
    file = Self.path(in: folder)
    isNew = !exists(file)
    descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      throw RunDirectoryError.inaccessible(
        path: folder, sentence: "the run folder cannot be written: \(systemReason())")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let code = errno
      let holder = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
      close(descriptor)
      guard code == EWOULDBLOCK else {
        throw RunDirectoryError.inaccessible(path: folder, sentence: "cannot be locked: \(systemReason(code))")
      }
      throw RunDirectoryError.inUse(path: folder, process: holder.isEmpty ? nil : printable(holder))
    }
    ftruncate(descriptor, 0)
    // The process id is for the error message alone, so a failed write does not matter.
    let process = Array("\(getpid())".utf8)
    _ = pwrite(descriptor, process, process.count, 0)
  }

  deinit { close(descriptor) }

  /// Calls `body`. If it throws, a new lock file is removed, so that a rejected folder is left unchanged.
  func removedIfFailing(_ body: () throws -> Void) throws {
    do { try body() } catch {
      if isNew { unlink(file) }
      throw error
    }
  }

  /// The path of a folder's lock file.
  package static func path(in folder: String) -> String { "\(folder)/.lock" }
}
