import Foundation
import WidebandCheckedInput
import WidebandCheckpoint
import WidebandReporting
import WidebandTraining

extension StudyFolder {
  /// Reads what was measured in a finished run.
  ///
  /// - Throws: `InputError` if a file is damaged.
  public func measurements(of run: StudyRun) throws -> RunMeasurements {
    let lines = try MetricsFile.read("\(paths.run(run.id))/metrics.jsonl")
    let path = paths.evaluation(run)
    guard !run.cycles.isEmpty, exists(path) else { return RunMeasurements(lines, of: run) }
    let tree = try JSONValue(contentsOf: fileURL(path))
    let evaluation = try ValueDecoder(printable(path: path)).decode(DirectEvaluation.self, from: tree)
    return RunMeasurements(lines, of: run, evaluation: evaluation)
  }

  /// Writes `results.md`, `results.json` and `report.html`.
  ///
  /// - Throws: `CheckpointError` if a file cannot be written.
  public func write(_ measured: StudyResults.Measured) throws {
    let results = StudyResults(measured)
    let files = [
      (Self.results.markdown, Data(results.markdown.utf8)),
      (Self.results.json, try JSONEncoder.indented.encode(results) + Data("\n".utf8)),
      (Self.results.page, Data(measured.report(results).html().utf8)),
    ]
    for (name, data) in files { try AtomicFile.write(data, to: fileURL(paths.result(name))) }
  }
}

extension StudyResults.Measured {
  /// The page with the curves of each arm at its best learning rate and first seed, the baseline first.
  func report(_ results: StudyResults) -> Report {
    let arms = results.arms.filter { $0.name == results.baseline } + results.arms.filter { $0.name != results.baseline }
    let runs = arms.compactMap { arm -> Report.Run? in
      guard let (run, measured) = best(of: arm.name).first else { return nil }
      var report = measured.report
      report.parameters = arm.parameters
      report.configuration =
        [("learning rate", "\(run.id.learningRate)"), ("seed", "\(run.id.seed)")]
        + (study.plan.arm(arm.name)?.changes ?? []).compactMap { change in
          let parts = change.split(separator: "=", maxSplits: 1)
          return parts.first.map { (String($0), parts.count > 1 ? String(parts[1]).onOneLine : "") }
        }
      return report
    }
    let note = "Each arm at its best learning rate, with its first seed; \(results.progress)."
    let summary = [results.cost, note].compactMap { $0?.onOneLine }
    return Report(title: results.question.onOneLine, summary: summary, runs: runs)
  }
}
