/// What the page of a training run shows next to its curves.
public struct DashboardRun: Sendable {
  /// The name of the run.
  public let name: String
  /// The file with a JSON object a step, which the run appends to.
  public let metricsPath: String
  /// The file with what the console showed, which the run appends to.
  public let logPath: String
  /// The steps of the whole run.
  public let steps: Int
  /// Tokens of each step.
  public let tokensPerStep: Int
  /// What the run is, for a table.
  public let rows: [(key: String, value: String)]

  /// A run.
  public init(
    name: String, metricsPath: String, logPath: String, steps: Int, tokensPerStep: Int,
    rows: [(key: String, value: String)]
  ) {
    (self.name, self.metricsPath, self.logPath) = (name, metricsPath, logPath)
    (self.steps, self.tokensPerStep, self.rows) = (steps, tokensPerStep, rows)
  }

  /// Where a run is.
  public enum State: Sendable, Equatable {
    /// It takes steps.
    case running
    /// It has taken all steps.
    case finished
    /// It was interrupted, and can be resumed.
    case stopped
    /// It ended with an error, as one sentence.
    case failed(String)

    /// The name in answers.
    var name: String {
      switch self {
      case .running: "running"
      case .finished: "finished"
      case .stopped: "stopped"
      case .failed: "failed"
      }
    }

    /// The error.
    var message: String? { if case .failed(let sentence) = self { sentence } else { nil } }
  }
}
