import Foundation
import WidebandCheckedInput
import WidebandTraining

extension StudyFolder {
  /// How many differing runs an error names.
  private static let maximumNamed = 3

  /// Checks that all runs that were started have the recipe that the plan gives them now.
  ///
  /// - Throws: `InputError` that names the runs, and the first key that differs.
  public func requireSameRecipes(_ study: Study) throws {
    let changes = try study.runs.compactMap { run in try change(of: run, startingFrom: nil) }
    guard !changes.isEmpty else { return }
    let more = changes.count > Self.maximumNamed ? "; and \(changes.count - Self.maximumNamed) more" : ""
    throw InputError(
      "\(study.plan.name): would change runs of \(printable(path: paths.folder)): "
        + "\(changes.prefix(Self.maximumNamed).joined(separator: "; "))\(more): expected the recipes they were started "
        + "with, another --output, or neither their folders nor the .json next to them")
  }

  /// Checks that a run, if it was started, started from a model.
  ///
  /// - Throws: `InputError` that names the run.
  public func requireSameStart(_ run: StudyRun, _ start: StudyRun.ID) throws {
    guard let change = try change(of: run, startingFrom: start) else { return }
    throw InputError(
      "\(change): expected the same, or neither its folder nor the .json next to it, so that the run begins again")
  }

  /// The first key of a run's recipe that differs from the stored one, as a sentence; nil if there is none.
  ///
  /// - Parameter start: the run that it starts from; nil if that is not known yet.
  private func change(of run: StudyRun, startingFrom start: StudyRun.ID?) throws -> String? {
    guard let old = try storedRecipe(of: run.id) else { return nil }
    var new = run.recipe
    if run.start != nil {
      // The folder of the study may have been moved.
      let isSame = start.map { old.from?.hasSuffix("/runs/\($0)/best") == true } ?? true
      new.from = isSame ? old.from : start.map(paths.best)
    }
    return try new.difference(from: old).map { "\(run.id): \($0.key) is \($0.new), and was \($0.old)" }
  }

  /// Waits until no other process trains in the folders of runs: those of a study that was killed end at once, but their
  /// memory takes a moment to be freed.
  ///
  /// - Throws: `RunDirectoryError.inUse` after some seconds.
  public func waitForOtherProcesses(_ runs: [StudyRun], seconds: Double = 10) throws {
    let deadline = Date(timeIntervalSinceNow: seconds)
    for run in runs where exists(RunDirectoryLock.path(in: paths.run(run.id))) {
      while true {
        do {
          _ = try RunDirectoryLock(paths.run(run.id))
          break
        } catch RunDirectoryError.inUse(let path, let process) {
          guard Date() < deadline else { throw RunDirectoryError.inUse(path: path, process: process) }
          usleep(50_000)
        }
      }
    }
  }
}
