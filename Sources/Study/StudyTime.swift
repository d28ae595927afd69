import Foundation
import WidebandCheckedInput

/// Predicts when a study ends, from the measured speed of its runs.
///
/// A step of an arm takes as long as its measured steps; that of an arm without any takes as long an operation as those
/// of the others.
public struct StudyTime: Sendable {
  private var steps: [String: (seconds: Double, count: Double)] = [:]
  private var seconds = 0.0
  private var operations = 0.0

  /// A prediction without measurements.
  public init() {}

  /// Adds steps of a run that were measured.
  public mutating func add(_ run: StudyRun, steps count: Int, seconds: Double) {
    guard count > 0, seconds > 0 else { return }
    let sum = steps[run.id.arm] ?? (0, 0)
    steps[run.id.arm] = (sum.seconds + seconds, sum.count + Double(count))
    self.seconds += seconds
    operations += run.operations * Double(count) / Double(run.recipe.training.steps)
  }

  /// The seconds until all runs end, if `jobs` of them run at a time; nil without measurements.
  ///
  /// - Parameter left: the runs with the steps that are left of each.
  public func left(_ left: [(run: StudyRun, steps: Int)], jobs: Int) -> Double? {
    guard operations > 0 else { return nil }
    let sum = left.reduce(0) { sum, item in
      let own = steps[item.run.id.arm].map { $0.seconds / $0.count }
      let step = own ?? seconds / operations * item.run.operations / Double(item.run.recipe.training.steps)
      return sum + step * Double(item.steps)
    }
    return sum / Double(max(1, min(jobs, left.count)))
  }
}

/// The end of a run's `metrics.jsonl`, which another process writes.
public enum RunTail {
  private static let maximumBytes: UInt64 = 65_536

  /// The last step and its training loss; nil before the first step.
  public static func last(_ folder: String) -> (step: Int, loss: Double?)? {
    let path = "\(folder)/metrics.jsonl"
    guard let handle = try? openRegularFile(path), let end = try? handle.seekToEnd() else { return nil }
    defer { try? handle.close() }
    let start = end > maximumBytes ? end - maximumBytes : 0
    guard (try? handle.seek(toOffset: start)) != nil, let bytes = try? handle.read(upToCount: Int(maximumBytes)) else {
      return nil
    }
    // The last line may be incomplete.
    for line in bytes.split(separator: 0x0A, omittingEmptySubsequences: true).reversed() {
      guard case .object(let values)? = try? JSONValue(parsing: line, file: path),
        let step = values["step"]?.number?.integer
      else { continue }
      return (step, values["train/next_token"]?.number?.double)
    }
    return nil
  }
}
