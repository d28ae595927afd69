import Foundation
import WidebandCheckedInput
import WidebandCheckpoint
import WidebandData

/// The console output of a run: a progress line on a terminal, plain lines elsewhere. All lines are also written to the
/// log.
public final class TrainingConsole {
  private let recipe: Recipe
  private let log: FileWriter
  private let output: FileHandle
  private let isTerminal: Bool
  /// Columns of the terminal, which may change at any time.
  private let width: () -> Int
  private let operationsPerToken: Double
  private let peakOperations: Double
  private var shown = 0
  private var trainingSeconds = 0.0
  private var steps = 0
  private var recent: [Double] = []
  private var lastPlainLine = Date.distantPast
  private var isLogging = true

  /// A console for one run.
  ///
  /// - Parameters:
  ///   - recipe: the recipe of the run.
  ///   - logPath: the path of the log.
  ///   - output: the file to write to.
  ///   - isTerminal: whether the output is a terminal.
  ///   - width: returns the number of columns of the terminal.
  ///   - operationsPerToken: floating-point operations of training per token.
  ///   - peakOperations: the peak floating-point operations per second of the machine.
  /// - Throws: `CheckpointError` if the log cannot be opened.
  public init(
    _ recipe: Recipe, logPath: String, output: FileHandle = .standardError, isTerminal: Bool,
    width: @escaping () -> Int = terminalWidth, operationsPerToken: Double, peakOperations: Double
  ) throws {
    self.recipe = recipe
    self.output = output
    self.isTerminal = isTerminal
    self.width = width
    self.operationsPerToken = operationsPerToken
    self.peakOperations = peakOperations
    log = try FileWriter(logPath)
  }

  /// The number of columns of the terminal on standard error; 80 if unknown.
  public static func terminalWidth() -> Int {
    var size = winsize()
    guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }

  /// Tokens per second in the last 20 steps, without evaluation, samples and checkpoints.
  public var tokensPerSecond: Double {
    let seconds = recent.reduce(0, +)
    return seconds > 0 ? Double(recent.count) * Double(recipe.training.tokensPerStep) / seconds : 0
  }

  /// Writes a line to the output and to the log.
  public func note(_ line: String) {
    // The line may contain names of folders and generated text, which must not control the terminal.
    let line = printable(line, limit: .max)
    clear()
    write(line + "\n")
    appendToLog(line)
  }

  /// Shows the progress after a step.
  func show(_ step: Trainer.Step, seconds: Double) {
    recent = recent.suffix(19) + [seconds]
    trainingSeconds += seconds
    steps += 1
    let summary = summary(of: step)
    if isTerminal {
      clear()
      let line = summary.line(within: width() - 1)
      write(line)
      shown = line.count
    }
    let isMilestone = step.number == 1 || step.number == recipe.training.steps
    guard isMilestone || Date().timeIntervalSince(lastPlainLine) >= 10 else { return }
    lastPlainLine = Date()
    let line = summary.line(within: .max)
    if !isTerminal { write(line + "\n") }
    appendToLog(line)
  }

  /// Shows an evaluation.
  func show(_ evaluation: Evaluation, at step: Int) {
    let mtpLosses = evaluation.mtpLosses.enumerated().map { k, loss in ", next \(k + 2) " + Self.text(loss, 4) }
    note(
      "step \(step): held-out loss \(Self.text(evaluation.nextTokenLoss, 4))\(mtpLosses.joined()), "
        + "\(Self.text(evaluation.bitsPerByte, 4)) bits per byte")
  }

  /// Shows a sample.
  func show(sample text: String, at step: Int) {
    note("step \(step) writes: \(text.onOneLine)")
  }

  /// Shows the summary of the run.
  func end() {
    clear()
    guard steps > 0 else { return }
    let tokens = Double(steps) * Double(recipe.training.tokensPerStep)
    note(
      "\(steps) steps in \(Self.duration(trainingSeconds)), \(Int(clamping: tokens / trainingSeconds)) tokens/s, "
        + "peak memory \(Self.text(Double(ProcessMemory.peakBytes) / 1e6, 0)) MB")
  }

  private func summary(of step: Trainer.Step) -> ProgressSummary {
    let utilization = tokensPerSecond * operationsPerToken / peakOperations
    let left = Double(recipe.training.steps - step.number) * recent.reduce(0, +) / Double(recent.count)
    let loss = step.losses.first { $0.name == "next_token" }?.value ?? .nan
    return ProgressSummary(parts: [
      (0, "step \(step.number)/\(recipe.training.steps)"), (1, "loss \(Self.text(loss, 4))"),
      (4, "rate \(String(format: "%.2e", step.learningRate))"), (3, "\(Int(clamping: tokensPerSecond)) tokens/s"),
      (6, "\(Int(clamping: 100 * utilization))% of peak"), (5, "\(ProcessMemory.residentBytes / 1_000_000) MB"),
      (2, "\(Self.duration(left)) left"),
    ])
  }

  private func clear() {
    guard isTerminal, shown > 0 else { return }
    // A terminal that has become narrower shows at most its columns of the old line.
    write("\r" + String(repeating: " ", count: max(0, min(shown, width() - 1))) + "\r")
    shown = 0
  }

  /// Appends a line to the log. If the log cannot be written, the run continues without it after one message.
  private func appendToLog(_ line: String) {
    guard isLogging else { return }
    do { try log.append("\(Self.time()) \(line)\n") } catch {
      isLogging = false
      clear()
      write("\(error); the run goes on without its log\n")
    }
  }

  private func write(_ text: String) { try? output.write(contentsOf: Data(text.utf8)) }

  private static func text(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }

  private static func time() -> String { ISO8601DateFormatter().string(from: Date()) }

  /// A duration in words.
  package static func duration(_ seconds: Double) -> String {
    let all = Int(clamping: seconds, to: 0...Int.max)
    if all < 60 { return "\(all) s" }
    if all < 3600 { return "\(all / 60) min \(all % 60) s" }
    if all < 48 * 3600 { return "\(all / 3600) h \(all % 3600 / 60) min" }
    return all < 100 * 365 * 86_400 ? "\(all / 86_400) d \(all % 86_400 / 3600) h" : "over 100 years"
  }
}

/// The parts of the progress line, of which a narrow terminal shows the most important ones.
struct ProgressSummary {
  /// The parts in display order. The part with the highest rank is left out first.
  let parts: [(rank: Int, text: String)]

  /// The parts that fit into `columns` columns; the most important one is cut if it does not fit.
  func line(within columns: Int) -> String {
    var left = parts
    while left.count > 1, Self.joined(left).count > columns {
      let last = left.map(\.rank).max()
      left.removeAll { $0.rank == last }
    }
    return String(Self.joined(left).prefix(max(0, columns)))
  }

  private static func joined(_ parts: [(rank: Int, text: String)]) -> String {
    parts.map(\.text).joined(separator: "  ")
  }
}
