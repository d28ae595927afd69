import Foundation

/// What a run shows while it works: a line that renews itself on a terminal, plain lines elsewhere, all of it in the
/// run's log.
public final class TrainingConsole {
  private let recipe: Recipe
  private let log: DataFileWriter
  private let isTerminal: Bool
  private let operationsPerToken: Double
  private let peakOperations: Double
  private var shown = 0
  private var trainingSeconds = 0.0
  private var steps = 0
  private var recent: [Double] = []
  private var lastPlainLine = Date.distantPast

  /// A console for one run.
  ///
  /// - Parameters:
  ///   - logPath: the file that keeps what is shown.
  ///   - isTerminal: whether standard error can renew a line.
  ///   - operationsPerToken: floating-point operations of training on one token.
  ///   - peakOperations: the most such operations a second that the machine was seen to do.
  public init(
    _ recipe: Recipe, logPath: String, isTerminal: Bool, operationsPerToken: Double, peakOperations: Double
  ) throws {
    self.recipe = recipe
    self.isTerminal = isTerminal
    self.operationsPerToken = operationsPerToken
    self.peakOperations = peakOperations
    log = try DataFileWriter(logPath)
  }

  /// Tokens trained on per second, over the last steps and without what is not training.
  public var tokensPerSecond: Double {
    let seconds = recent.reduce(0, +)
    return seconds > 0 ? Double(recent.count * recipe.training.tokensPerStep) / seconds : 0
  }

  /// Shows a line of its own and logs it.
  public func note(_ line: String) {
    clear()
    write(line + "\n")
    try? log.append("\(Self.time()) \(line)\n")
  }

  func show(_ step: Trainer.Step, seconds: Double) {
    recent = recent.suffix(19) + [seconds]
    trainingSeconds += seconds
    steps += 1
    let line = summary(of: step)
    if isTerminal {
      clear()
      write(line)
      shown = line.count
    }
    let isMilestone = step.number == 1 || step.number == recipe.training.steps
    guard isMilestone || Date().timeIntervalSince(lastPlainLine) >= 10 else { return }
    lastPlainLine = Date()
    if !isTerminal { write(line + "\n") }
    try? log.append("\(Self.time()) \(line)\n")
  }

  func show(_ evaluation: Evaluation, at step: Int) {
    let deeper = evaluation.deeperLosses.enumerated().map { k, loss in ", next \(k + 2) " + Self.text(loss, 4) }
    note(
      "step \(step): held-out loss \(Self.text(evaluation.nextTokenLoss, 4))\(deeper.joined()), "
        + "\(Self.text(evaluation.bitsPerByte, 4)) bits per byte")
  }

  func show(sample text: String, at step: Int) {
    note("step \(step) writes: \(text.split(whereSeparator: \.isNewline).joined(separator: " "))")
  }

  func end() {
    clear()
    guard steps > 0 else { return }
    let tokens = Double(steps * recipe.training.tokensPerStep)
    note(
      "\(steps) steps in \(Self.duration(trainingSeconds)), \(Int(tokens / trainingSeconds)) tokens/s, "
        + "peak memory \(Self.text(Double(ProcessMemory.peakBytes) / 1e6, 0)) MB")
  }

  private func summary(of step: Trainer.Step) -> String {
    let share = tokensPerSecond * operationsPerToken / peakOperations
    let left = Double(recipe.training.steps - step.number) * recent.reduce(0, +) / Double(recent.count)
    let loss = step.losses.first { $0.name == "next_token" }?.value ?? .nan
    return [
      "step \(step.number)/\(recipe.training.steps)", "loss \(Self.text(loss, 4))",
      "rate \(String(format: "%.2e", step.learningRate))", "\(Int(tokensPerSecond)) tokens/s",
      "\(Int((100 * share).rounded()))% of peak", "\(Int(Double(ProcessMemory.residentBytes) / 1e6)) MB",
      "\(Self.duration(left)) left",
    ].joined(separator: "  ")
  }

  private func clear() {
    guard isTerminal, shown > 0 else { return }
    write("\r" + String(repeating: " ", count: shown) + "\r")
    shown = 0
  }

  private func write(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data(text.utf8)) }

  private static func text(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }

  private static func time() -> String { ISO8601DateFormatter().string(from: Date()) }

  private static func duration(_ seconds: Double) -> String {
    let whole = Int(seconds.rounded())
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
    return "\(whole / 3600) h \(whole % 3600 / 60) min"
  }
}
