import Foundation
import WidebandCheckedInput

/// The state of a study while its runs are started and end. Not thread-safe.
///
/// Whoever starts the runs' processes calls ``next()``, and then one of `finish`, `diverge`, `fail` and `interrupt`.
public final class StudyProgress {
  /// The study.
  public let study: Study
  /// The folder of the study.
  public let folder: StudyFolder
  /// The runs that failed, with the reason of each.
  public private(set) var failures: [(run: StudyRun.ID, reason: String)] = []

  private var schedule: StudySchedule
  private var outcomes: [StudyRun.ID: StudyOutcome] = [:]
  private var measurements: [StudyRun.ID: RunMeasurements] = [:]

  /// Reads how far a study is.
  ///
  /// - Throws: `InputError` if a file is damaged.
  public init(_ study: Study, in folder: StudyFolder) throws {
    (self.study, self.folder) = (study, folder)
    var complete: [StudyRun.ID: StudyOutcome] = [:]
    for run in study.runs {
      guard let outcome = try folder.outcome(of: run) else { continue }
      outcomes[run.id] = outcome
      if outcome == .finished { measurements[run.id] = try folder.measurements(of: run) }
      if outcome == .diverged || !folder.needsEvaluation(run) { complete[run.id] = outcome }
    }
    schedule = StudySchedule(study.runs, outcomes: complete)
    dropOutdated()
  }

  /// Takes finished runs out of the results that would start from another run now: since then another learning rate has
  /// become the best of the arm that they start from, or the plan names another arm.
  ///
  /// - Parameter changed: the arm that has another result; nil to look at all.
  private func dropOutdated(startingFrom changed: String? = nil) {
    for run in study.runs where outcomes[run.id] == .finished {
      guard let arm = run.start, arm == changed ?? arm, let rate = results.bestRate(of: arm) else { continue }
      do {
        try folder.requireSameStart(run, StudyRun.ID(arm: arm, learningRate: rate, seed: run.id.seed))
      } catch {
        (outcomes[run.id], measurements[run.id]) = (nil, nil)
        fail(run, "\(error)")
      }
    }
  }

  /// The runs in a state.
  public func runs(_ state: StudySchedule.State) -> [StudyRun] { schedule.runs(state) }

  /// The measurements of a finished run.
  public func measured(_ run: StudyRun.ID) -> RunMeasurements? { measurements[run] }

  /// The next run to start; nil if none can start now.
  public func next() -> StudyRun? { schedule.next() }

  /// Whether all steps of a run are taken, so that only its evaluation is missing.
  public func isTrained(_ run: StudyRun) -> Bool { outcomes[run.id] == .finished }

  /// The run from whose best checkpoint a run starts; nil for one that starts from new weights.
  ///
  /// - Throws: `InputError` if the arm has no learning rate without a run that diverged, and if the run was started from
  ///   another one before.
  public func start(of run: StudyRun) throws -> StudyRun.ID? {
    guard let arm = run.start else { return nil }
    guard let rate = results.bestRate(of: arm) else {
      throw InputError("\(arm) has no learning rate with held-out losses of all seeds: expected one to start from")
    }
    let start = StudyRun.ID(arm: arm, learningRate: rate, seed: run.id.seed)
    try folder.requireSameStart(run, start)
    return start
  }

  /// Notes that all steps of a run are taken, and that it is evaluated if it has to be.
  ///
  /// - Throws: `CheckpointError` if the outcome cannot be stored; `InputError` if the run's files are damaged.
  public func finish(_ run: StudyRun) throws {
    if outcomes[run.id] == nil { try folder.record(.finished, of: run) }
    outcomes[run.id] = .finished
    measurements[run.id] = try folder.measurements(of: run)
    schedule.end(run.id, folder.needsEvaluation(run) ? .running : .finished)
    dropOutdated(startingFrom: run.id.arm)
  }

  /// Notes that a run diverged.
  ///
  /// - Throws: as `finish`.
  public func diverge(_ run: StudyRun) throws {
    try folder.record(.diverged, of: run)
    outcomes[run.id] = .diverged
    schedule.end(run.id, .diverged)
  }

  /// Notes that a run failed.
  public func fail(_ run: StudyRun, _ reason: String) {
    failures.append((run.id, reason))
    schedule.end(run.id, .failed)
  }

  /// Notes that a run was stopped, and is to be continued.
  public func interrupt(_ run: StudyRun) { schedule.end(run.id, .waiting) }

  /// Writes the results so far.
  ///
  /// - Throws: `CheckpointError` if a file cannot be written.
  public func writeResults() throws { try folder.write(results) }

  private var results: StudyResults.Measured {
    StudyResults.Measured(study, outcomes: outcomes, measurements: measurements)
  }
}
