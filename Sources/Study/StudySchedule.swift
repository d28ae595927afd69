/// Which run of a study is next.
public struct StudySchedule: Sendable {
  /// The state of a run.
  public enum State: Sendable {
    /// Not started yet, or started by an earlier process that did not finish it.
    case waiting
    /// Started.
    case running
    /// All of its steps are taken.
    case finished
    /// A loss, gradient or weight was not finite.
    case diverged
    /// It ended with an error.
    case failed
  }

  private let runs: [StudyRun]
  /// The state of every run.
  public private(set) var states: [StudyRun.ID: State]

  /// A schedule of runs, in their order.
  ///
  /// - Parameter outcomes: the outcomes of the runs that need not be repeated.
  public init(_ runs: [StudyRun], outcomes: [StudyRun.ID: StudyOutcome]) {
    self.runs = runs
    states = Dictionary(
      uniqueKeysWithValues: runs.map { run in
        let state: State? = outcomes[run.id].map { $0 == .finished ? .finished : .diverged }
        return (run.id, state ?? .waiting)
      })
  }

  /// The next run, which is running from now on; nil if none can start now.
  public mutating func next() -> StudyRun? {
    // The best learning rate of an arm is chosen by the results of all of its runs.
    let open = Set(runs.filter { states[$0.id] != .finished && states[$0.id] != .diverged }.map(\.id.arm))
    let next = runs.first { run in states[run.id] == .waiting && run.start.map { !open.contains($0) } ?? true }
    guard let run = next else { return nil }
    states[run.id] = .running
    return run
  }

  /// Notes the end of a run.
  public mutating func end(_ run: StudyRun.ID, _ state: State) { states[run] = state }

  /// The runs in a state.
  public func runs(_ state: State) -> [StudyRun] { runs.filter { states[$0.id] == state } }
}
