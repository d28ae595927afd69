import Dispatch
import Foundation
import Wideband
import WidebandCheckedInput

/// Runs the processes of `wideband study`: none remains when the study ends in any way.
///
/// All state belongs to one serial queue; threads that wait for processes, the timer and signals call it there.
final class StudyRunner: @unchecked Sendable {
  private let progress: StudyProgress
  private let commands: StudyCommands
  private let executable: String
  private let jobs: Int
  private let display: StudyDisplay
  private let queue = DispatchQueue(label: "study")
  private let allEnded = DispatchSemaphore(value: 0)
  private var running: [StudyRun.ID: LaunchedProcess] = [:]
  private var signals: TerminationSignals?
  /// Processes end when its last writing end is closed, which is this process's.
  private let input: OutputPipe
  private var wasSignaled = false

  init(_ progress: StudyProgress, _ commands: StudyCommands, executable: String, jobs: Int) throws {
    (self.progress, self.commands, self.executable, self.jobs) = (progress, commands, executable, jobs)
    display = StudyDisplay(progress, jobs: jobs)
    input = try OutputPipe()
  }

  /// Runs all runs that are left to their ends.
  ///
  /// - Returns: whether a signal stopped it before that.
  func run() -> Bool {
    signals = TerminationSignals(on: queue) { self.interrupted(by: $0) }
    display.begin()
    queue.sync(execute: startNext)
    let timer = DispatchSource.makeTimerSource(queue: queue)
    timer.schedule(deadline: .now() + 1, repeating: 1)
    timer.setEventHandler { self.display.refresh() }
    timer.resume()
    allEnded.wait()
    timer.cancel()
    input.closeWritingEnd()
    return queue.sync {
      display.end()
      return wasSignaled && !progress.runs(.waiting).isEmpty
    }
  }

  private func interrupted(by number: Int32) {
    let isSecond = wasSignaled
    wasSignaled = true
    if !isSecond { display.note("stopping: runs save their checkpoints; once more to leave now") }
    for process in running.values { process.send(isSecond ? SIGKILL : number) }
  }

  private func startNext() {
    while running.count < jobs, !wasSignaled, let run = progress.next() { begin(run) }
    if running.isEmpty { allEnded.signal() }
  }

  /// Trains a run, or evaluates it if it is trained.
  private func begin(_ run: StudyRun) {
    do {
      let start = try progress.start(of: run)
      let isTraining = !progress.isTrained(run)
      try progress.folder.makeParent(of: run)
      let path = progress.folder.paths.log(run.id)
      let log = try openForWriting(path, O_APPEND)
      defer { close(log) }
      var streams = [(from: input.reading, to: STDIN_FILENO), (log, STDERR_FILENO), (log, STDOUT_FILENO)]
      var output: Int32?
      defer { if let output { close(output) } }
      if !isTraining {
        let file = try openForWriting(partialEvaluation(run), O_TRUNC)
        (output, streams[2]) = (file, (file, STDOUT_FILENO))
      }
      let arguments = isTraining ? commands.training(run, from: start) : commands.evaluation(run, from: start)
      var environment = ProcessInfo.processInfo.environment
      environment[LauncherWatch.variable] = "1"
      running[run.id] = try LaunchedProcess(executable, arguments, environment, streams) { _ in
        self.queue.async { self.ended(run, isTraining: isTraining) }
      }
      if isTraining { display.started(run) }
    } catch { fail(run, Failure.sentence(error)) }
  }

  private func ended(_ run: StudyRun, isTraining: Bool) {
    guard let status = running.removeValue(forKey: run.id)?.collectStatus() else { return }
    do {
      switch status {
      case 0: try succeeded(run, isTraining: isTraining)
      case Failure.divergedStatus where isTraining:
        try progress.diverge(run)
        display.ended(run, "diverged")
      case _ where wasSignaled: progress.interrupt(run)
      default:
        let path = progress.folder.paths.log(run.id)
        let reason = status > 128 && status != 130 ? "was ended by signal \(status - 128)" : lastLine(of: path)
        fail(run, "\(reason ?? "ended with status \(status)") (\(printable(path: path)))")
      }
    } catch { fail(run, Failure.sentence(error)) }
    do { try progress.writeResults() } catch { display.note(Failure.sentence(error)) }
    startNext()
  }

  private func succeeded(_ run: StudyRun, isTraining: Bool) throws {
    if !isTraining {
      let target = progress.folder.paths.evaluation(run)
      guard rename(partialEvaluation(run), target) == 0 else {
        throw CommandError("\(printable(path: target)): cannot be written: \(systemReason())")
      }
    }
    try progress.finish(run)
    if isTraining { display.ended(run, "finished") }
    // The evaluation comes next, in the place of the training.
    if progress.runs(.running).contains(where: { $0.id == run.id }) {
      wasSignaled ? progress.interrupt(run) : begin(run)
    }
  }

  private func fail(_ run: StudyRun, _ reason: String) {
    progress.fail(run, reason)
    display.ended(run, "failed: \(reason)")
  }

  private func partialEvaluation(_ run: StudyRun) -> String { progress.folder.paths.evaluation(run) + ".partial" }

  private func openForWriting(_ path: String, _ mode: Int32) throws -> Int32 {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | mode, 0o666)
    guard descriptor >= 0 else { throw CommandError("\(printable(path: path)): cannot be written: \(systemReason())") }
    return descriptor
  }

  /// The error at the end of a log, or its last line.
  private func lastLine(of path: String) -> String? {
    guard let handle = try? openRegularFile(path), let end = try? handle.seekToEnd() else { return nil }
    defer { try? handle.close() }
    try? handle.seek(toOffset: end > 8192 ? end - 8192 : 0)
    let text = String(decoding: (try? handle.read(upToCount: 8192)) ?? Data(), as: UTF8.self)
    // Usage follows a wrong argument.
    let lines = text.split(whereSeparator: \.isNewline).suffix(5)
    guard let line = lines.last(where: { $0.hasPrefix("Error: ") }) ?? lines.last else { return nil }
    return printable(line.hasPrefix("Error: ") ? line.dropFirst(7) : line, limit: 1000, end: 500)
  }
}
