import Foundation
import Wideband
import WidebandCheckedInput

/// Shows a study on standard error: a table of the running runs on a terminal, plain lines elsewhere.
final class StudyDisplay {
  private let progress: StudyProgress
  private let jobs: Int
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private var shownLines = 0
  private var lastPlainLines = Date()
  private var started: [StudyRun.ID: (run: StudyRun, date: Date, step: Int)] = [:]
  private var finishedTime = StudyTime()

  /// Seconds between plain lines.
  private static let interval = 10.0

  init(_ progress: StudyProgress, jobs: Int) { (self.progress, self.jobs) = (progress, jobs) }

  /// Shows how many runs there are and what those that are left cost.
  func begin() {
    for run in progress.study.runs {
      guard let seconds = progress.measured(run.id)?.secondsPerStep else { continue }
      let steps = run.recipe.training.steps
      finishedTime.add(run, steps: steps, seconds: seconds * Double(steps))
    }
    let left = progress.runs(.waiting)
    let tokens = left.reduce(0) { $0 + Double($1.recipe.training.steps) * Double($1.recipe.training.tokensPerStep) }
    let operations = left.reduce(0) { $0 + $1.operations }
    note(
      "\(printable(path: progress.folder.paths.folder)): \(counts); the runs that are left cost "
        + String(format: "%.3g tokens, %.3g operations", tokens, operations))
  }

  func started(_ run: StudyRun) {
    let step = RunTail.last(progress.folder.paths.run(run.id))?.step ?? 0
    started[run.id] = (run, Date(), step)
    note("\(title(run)): started" + (step > 0 ? " after step \(step)" : ""))
  }

  func ended(_ run: StudyRun, _ how: String) {
    if let began = started.removeValue(forKey: run.id) {
      let step = RunTail.last(progress.folder.paths.run(run.id))?.step ?? began.step
      finishedTime.add(run, steps: step - began.step, seconds: Date().timeIntervalSince(began.date))
    }
    let loss = progress.measured(run.id)?.loss.map { ", held-out loss \(decimal($0, 4))" } ?? ""
    note("\(title(run)): \(how)\(loss); \(counts)\(timeLeft)")
  }

  /// Shows the running runs.
  func refresh() {
    guard isTerminal else {
      guard Date().timeIntervalSince(lastPlainLines) >= Self.interval else { return }
      lastPlainLines = Date()
      for row in rows {
        StandardError.line(
          "\(row[0]), learning rate \(row[1]), seed \(row[2]): step \(row[3]), loss \(row[4])\(timeLeft)")
      }
      return
    }
    let heads = ["arm", "learning rate", "seed", "step", "loss"]
    let table = [heads] + rows
    let widths = heads.indices.map { column in table.map { $0[column].count }.max() ?? 0 }
    let lines = table.map { row in
      zip(row, widths).map { text, width in text + String(repeating: " ", count: width - text.count) }
        .joined(separator: "  ")
    }
    let columns = TrainingConsole.terminalWidth() - 1
    let shown = (lines + ["\(counts)\(timeLeft)"]).map { String($0.prefix(max(1, columns))) }
    StandardError.write(erasing + shown.joined(separator: "\n") + "\n")
    shownLines = shown.count
  }

  /// Shows a line that remains.
  func note(_ line: String) {
    StandardError.write(erasing + line + "\n")
    shownLines = 0
  }

  /// Removes the table.
  func end() {
    StandardError.write(erasing)
    shownLines = 0
  }

  /// The cursor to the beginning of the table, and all below it cleared.
  private var erasing: String { shownLines > 0 ? "\u{1B}[\(shownLines)A\u{1B}[J" : "" }

  private func title(_ run: StudyRun) -> String {
    "\(run.id.arm), learning rate \(run.id.learningRate), seed \(run.id.seed)"
  }

  private var rows: [[String]] {
    started.values.sorted { "\($0.run.id)" < "\($1.run.id)" }.map { run, _, first in
      let last = RunTail.last(progress.folder.paths.run(run.id))
      return [
        run.id.arm, "\(run.id.learningRate)", "\(run.id.seed)", "\(last?.step ?? first)/\(run.recipe.training.steps)",
        last?.loss.map { decimal($0, 4) } ?? "–",
      ]
    }
  }

  private var counts: String {
    let states = [
      (StudySchedule.State.finished, "finished"), (.diverged, "diverged"), (.failed, "failed"), (.running, "running"),
      (.waiting, "left"),
    ]
    let parts = states.map { (progress.runs($0).count, $1) }.filter { $0.0 > 0 }.map { "\($0) \($1)" }
    return "\(progress.study.runs.count) runs: \(parts.joined(separator: ", "))"
  }

  private var timeLeft: String {
    var time = finishedTime
    var left = progress.runs(.waiting).map { (run: $0, steps: $0.recipe.training.steps) }
    for (run, date, first) in started.values {
      let step = RunTail.last(progress.folder.paths.run(run.id))?.step ?? first
      time.add(run, steps: step - first, seconds: Date().timeIntervalSince(date))
      left.append((run, run.recipe.training.steps - step))
    }
    guard !left.isEmpty, let seconds = time.left(left, jobs: jobs) else { return "" }
    return ", \(TrainingConsole.duration(seconds)) left"
  }
}
