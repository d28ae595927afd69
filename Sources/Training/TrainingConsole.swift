import CheckedInput
import Foundation

/// What a run shows while it works: a line that renews itself on a terminal, plain lines elsewhere, all of it in the
/// run's log.
public final class TrainingConsole {
  private let recipe: Recipe
  private let log: DataFileWriter
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
  ///   - logPath: the file that keeps what is shown.
  ///   - output: where lines are shown.
  ///   - isTerminal: whether a line can be renewed there.
  ///   - operationsPerToken: floating-point operations of training on one token.
  ///   - peakOperations: the most such operations a second that the machine was seen to do.
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
    log = try DataFileWriter(logPath)
  }

  /// Columns of the terminal that standard error is; 80 where it does not say.
  public static func terminalWidth() -> Int {
    var size = winsize()
    guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }

  /// Tokens trained on per second, over the last steps and without what is not training.
  public var tokensPerSecond: Double {
    let seconds = recent.reduce(0, +)
    return seconds > 0 ? Double(recent.count) * Double(recipe.training.tokensPerStep) / seconds : 0
  }

  /// Shows a line of its own and logs it.
  public func note(_ line: String) {
    // Names of folders and texts of models are in it: they must not steer the terminal.
    let line = printable(line, limit: .max)
    clear()
    write(line + "\n")
    keep(line)
  }

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
    keep(line)
  }

  func show(_ evaluation: Evaluation, at step: Int) {
    let deeper = evaluation.deeperLosses.enumerated().map { k, loss in ", next \(k + 2) " + Self.text(loss, 4) }
    note(
      "step \(step): held-out loss \(Self.text(evaluation.nextTokenLoss, 4))\(deeper.joined()), "
        + "\(Self.text(evaluation.bitsPerByte, 4)) bits per byte")
  }

  func show(sample text: String, at step: Int) {
    note("step \(step) writes: \(text.onOneLine)")
  }

  func end() {
    clear()
    guard steps > 0 else { return }
    let tokens = Double(steps) * Double(recipe.training.tokensPerStep)
    note(
      "\(steps) steps in \(Self.duration(trainingSeconds)), \(Int(clamping: tokens / trainingSeconds)) tokens/s, "
        + "peak memory \(Self.text(Double(ProcessMemory.peakBytes) / 1e6, 0)) MB")
  }

  private func summary(of step: Trainer.Step) -> ProgressSummary {
    let share = tokensPerSecond * operationsPerToken / peakOperations
    let left = Double(recipe.training.steps - step.number) * recent.reduce(0, +) / Double(recent.count)
    let loss = step.losses.first { $0.name == "next_token" }?.value ?? .nan
    return ProgressSummary(parts: [
      (0, "step \(step.number)/\(recipe.training.steps)"), (1, "loss \(Self.text(loss, 4))"),
      (4, "rate \(String(format: "%.2e", step.learningRate))"), (3, "\(Int(clamping: tokensPerSecond)) tokens/s"),
      (6, "\(Int(clamping: 100 * share))% of peak"), (5, "\(ProcessMemory.residentBytes / 1_000_000) MB"),
      (2, "\(Self.duration(left)) left"),
    ])
  }

  private func clear() {
    guard isTerminal, shown > 0 else { return }
    // A terminal that has become narrower shows no more of the old line than it has columns.
    write("\r" + String(repeating: " ", count: max(0, min(shown, width() - 1))) + "\r")
    shown = 0
  }

  /// Writes a line to the log. A log that cannot be written does not end a run, and is said once.
  private func keep(_ line: String) {
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

  /// Seconds in words, however many there are.
  static func duration(_ seconds: Double) -> String {
    let all = Int(clamping: seconds, to: 0...Int.max)
    if all < 60 { return "\(all) s" }
    if all < 3600 { return "\(all / 60) min \(all % 60) s" }
    if all < 48 * 3600 { return "\(all / 3600) h \(all % 3600 / 60) min" }
    return all < 100 * 365 * 86_400 ? "\(all / 86_400) d \(all % 86_400 / 3600) h" : "over 100 years"
  }
}

/// What is said of a step, part by part, of which a narrow terminal shows the more important ones.
struct ProgressSummary {
  /// The parts in the order in which they are shown, each with its rank: the last in rank is left out first.
  let parts: [(rank: Int, text: String)]

  /// As many parts as fit into some columns; of the first in rank, as much as fits.
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
