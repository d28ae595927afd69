import Dispatch
import Foundation

/// Runs the processes of `wideband launch` to their end: none remains.
///
/// All state belongs to one serial queue; threads that wait for processes and signal sources call it there.
final class Launcher: @unchecked Sendable {
  private let grace: Int
  private let queue = DispatchQueue(label: "launcher")
  private let allEnded = DispatchSemaphore(value: 0)
  private var running: [(rank: Int, process: LaunchedProcess)] = []
  private var signals: TerminationSignals?
  /// The status of the first process that failed.
  private var status: Int32?
  /// Whether the user's signal was passed on.
  private var isInterrupted = false
  /// Whether processes have `grace` seconds left.
  private var isEnding = false
  /// Outputs of failed processes that were shown: one loss often fails all processes with the same sentence.
  private var shown: Set<String> = []

  /// - Parameter grace: the seconds that processes have to end after one has failed.
  init(grace: Int) { self.grace = grace }

  /// Runs a program once for each of `environments`, with the same arguments. Only the first one's output is shown.
  ///
  /// - Returns: the exit status of the first process that failed, 128 + n if signal n ended it; 0 if none did.
  func run(_ executable: String, _ arguments: [String], _ environments: [[String: String]]) throws -> Int32 {
    // Processes end when the last writing end of their standard input is closed, which is this process's.
    let input = try OutputPipe()
    signals = TerminationSignals(on: queue) { self.interrupted(by: $0) }
    try queue.sync {
      do {
        for (rank, environment) in environments.enumerated() {
          let output = rank > 0 ? try OutputPipe() : nil
          defer { output?.closeWritingEnd() }
          var streams = [(from: input.reading, to: STDIN_FILENO)]
          if let output { streams += [STDOUT_FILENO, STDERR_FILENO].map { (from: output.writing, to: $0) } }
          let process = try LaunchedProcess(executable, arguments, environment, streams, collecting: output) { lines in
            self.queue.async { self.ended(rank, lines) }
          }
          running.append((rank, process))
        }
      } catch {
        sendToAll(SIGKILL)
        throw error
      }
    }
    allEnded.wait()
    input.closeWritingEnd()
    return queue.sync { status ?? 0 }
  }

  /// Passes the user's first signal on, so that a run can save a checkpoint; a second one kills.
  private func interrupted(by number: Int32) {
    if isInterrupted {
      if status == nil { status = 128 + number }
      return sendToAll(SIGKILL)
    }
    isInterrupted = true
    sendToAll(number)
  }

  private func ended(_ rank: Int, _ lines: String) {
    guard let index = running.firstIndex(where: { $0.rank == rank }) else { return }
    let code = running.remove(at: index).process.collectStatus()
    if code != 0 {
      report(rank, code, lines)
      if status == nil { status = code }
      endOthers()
    }
    if running.isEmpty { allEnded.signal() }
  }

  /// Gives the processes that remain `grace` seconds.
  private func endOthers() {
    guard !isEnding, !running.isEmpty else { return }
    isEnding = true
    // A second signal would end a run without the checkpoint that it writes after the first one.
    if !isInterrupted { sendToAll(SIGTERM) }
    queue.asyncAfter(deadline: .now() + .seconds(grace)) {
      for (rank, _) in self.running {
        StandardError.line("launch: rank \(rank) did not end within \(self.grace) s and is killed")
      }
      self.sendToAll(SIGKILL)
    }
  }

  private func report(_ rank: Int, _ code: Int32, _ lines: String) {
    // What launch or the user ended is no failure of its own; 130 is the status of a run that was stopped.
    if isInterrupted || (isEnding && [128 + SIGINT, 128 + SIGTERM, 128 + SIGKILL].contains(code)) { return }
    // A run that SIGINT or SIGTERM has stopped, and that has saved a checkpoint, ends with 130.
    let reason =
      code == 128 + SIGINT
      ? "was stopped, with status \(code)"
      : code > 128 ? "was ended by signal \(code - 128)" : "ended with status \(code)"
    let isNew = !lines.isEmpty && shown.insert(lines).inserted
    StandardError.line("launch: rank \(rank) \(reason)" + (isNew ? "; the end of its output:\n\(lines)" : ""))
  }

  private func sendToAll(_ signal: Int32) { for (_, process) in running { process.send(signal) } }
}
