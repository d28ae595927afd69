import Checkpoint
import Foundation
import LanguageModel
import Torch

/// A trainer at work in a run folder: steps, measurements, samples and checkpoints in their order.
///
/// Killed at any moment, the folder holds the last complete checkpoint, and a run resumed from it computes the very
/// numbers that this one would have.
public final class TrainingRun {
  /// The trainer.
  public let trainer: Trainer
  /// Where the run is kept.
  public let directory: RunDirectory

  private let files: [String: Data]
  private let sample: ((LanguageModel) throws -> String)?
  private let console: TrainingConsole
  private let metrics: MetricsWriter
  private let board: TensorBoardWriter
  private var progress: TrainingCheckpoint.Progress
  private var lastCheckpoint: Int

  /// A run in a folder.
  ///
  /// - Parameters:
  ///   - progress: where the checkpoint that the trainer was made from stood; nil for a fresh run.
  ///   - files: what each checkpoint needs beside the model, by name, such as `tokenizer.json`.
  ///   - sample: writes some text with the model as it is.
  public init(
    _ trainer: Trainer, in directory: RunDirectory, progress: TrainingCheckpoint.Progress? = nil,
    files: [String: Data] = [:], console: TrainingConsole, sample: ((LanguageModel) throws -> String)? = nil
  ) throws {
    self.trainer = trainer
    self.directory = directory
    self.files = files
    self.sample = sample
    self.console = console
    self.progress = progress ?? .init(step: 0)
    lastCheckpoint = progress?.step ?? 0
    if progress == nil { try Self.requireNoLostCheckpoint(trainer.recipe, directory) }
    metrics = try MetricsWriter(directory.metricsPath, after: trainer.stepsTaken)
    if metrics.droppedLines > 0 {
      console.note(
        "\(directory.metricsPath): \(metrics.droppedLines) lines are dropped, of steps after \(trainer.stepsTaken), where "
          + "the run goes on")
    }
    if metrics.lastStep < trainer.stepsTaken {
      console.note(
        "\(directory.metricsPath): ends at step \(metrics.lastStep), and the run goes on after step "
          + "\(trainer.stepsTaken): what was measured between them is lost")
    }
    board = try TensorBoardWriter(folder: directory.path, after: trainer.stepsTaken)
    if let best = progress?.bestStep, best == progress?.step { try directory.markBest(step: best) }
  }

  /// What a run came to.
  public struct Outcome: Sendable {
    /// Whether all steps were taken.
    public let isFinished: Bool
    /// The last measurement on held-out text, if there was one.
    public let evaluation: Evaluation?
  }

  /// Takes steps until there are no more or `shouldStop` says so; either way the last one is saved.
  ///
  /// - Throws: `TrainingError` where a step, the weights that it leaves, or a measurement is not finite: nothing of that
  ///   is saved.
  public func run(shouldStop: () -> Bool = { false }) throws -> Outcome {
    var evaluation: Evaluation?
    let recipe = trainer.recipe
    let steps = recipe.training.steps
    if trainer.stepsTaken >= steps {
      console.note("\(trainer.stepsTaken) steps are taken, training.steps is \(steps): nothing is left to do")
    }
    if !trainer.hasHeldOutText {
      console.note("no text is held out: losses are measured in training alone, and no checkpoint is the best one")
    }
    while trainer.stepsTaken < steps {
      let clock = ContinuousClock()
      let started = clock.now
      let step = try orSayingWhatIsLeft { try trainer.step() }
      console.show(step, seconds: (clock.now - started) / .seconds(1))
      let isLast = step.number == steps
      let isStopping = shouldStop()
      let isMeasured = trainer.hasHeldOutText && (isDue(recipe.validation.interval, step.number) || isLast)
      let isSampled = isDue(recipe.sample.interval, step.number)
      let isSaved = isDue(recipe.checkpoint.interval, step.number) || isLast || isStopping
      let measured = try orSayingWhatIsLeft {
        // A weight that overflowed in this step shows in no loss yet.
        if isMeasured || isSampled || isSaved { try requireFinite(after: step.number) }
        return isMeasured ? try trainer.evaluate() : nil
      }
      evaluation = measured ?? evaluation
      try record(step, measured)
      if isSaved { try save(measured) }
      if isSampled { try writeSample() }
      if isStopping { break }
    }
    console.end()
    return Outcome(isFinished: trainer.stepsTaken >= steps, evaluation: evaluation)
  }

  private func isDue(_ interval: Int, _ step: Int) -> Bool { interval > 0 && step.isMultiple(of: interval) }

  private func requireFinite(after step: Int) throws {
    do { try trainer.requireFinite() } catch let error as NotFiniteError {
      throw NotFiniteError("step \(step): \(error) after the update; nothing of it was saved")
    }
  }

  /// Does something after whose failure the run cannot go on; the error says what there is to continue from.
  private func orSayingWhatIsLeft<Result>(_ body: () throws -> Result) throws -> Result {
    do { return try body() } catch let error as NotFiniteError {
      throw TrainingError("\(error); \(stateOfLastCheckpoint())")
    }
  }

  private func stateOfLastCheckpoint() -> String {
    do {
      guard let last = try directory.checkpoints().first else { return "there is no checkpoint yet" }
      do { try TrainingCheckpoint(last).requireIntact() } catch {
        return "the last checkpoint, of step \(last.step), cannot be continued: \(error)"
      }
      return "the last checkpoint, of step \(last.step), is intact"
    } catch { return "\(error)" }
  }

  /// Fails where steps were written down that a checkpoint must have followed, and there is none: to begin at step 0
  /// would drop what is known of them.
  private static func requireNoLostCheckpoint(_ recipe: Recipe, _ directory: RunDirectory) throws {
    var last = 0
    try MetricsFile.forEachLine(directory.metricsPath) { line, _ in last = max(last, line.step) }
    guard last > recipe.checkpoint.interval else { return }
    throw RunDirectoryError(
      directory.path,
      "has metrics up to step \(last) and no checkpoint, though every \(recipe.checkpoint.interval) steps one is saved: "
        + "expected it in the folder checkpoints; remove metrics.jsonl to begin at step 0")
  }

  private func record(_ step: Trainer.Step, _ evaluation: Evaluation?) throws {
    var values = step.losses.map { ("train/\($0.name)", $0.value) }
    values.append(("gradient_norm", step.gradientNorm))
    values.append(("learning_rate", step.learningRate))
    values.append(("tokens_per_second", console.tokensPerSecond))
    if let evaluation {
      values += [
        ("validation/next_token", evaluation.nextTokenLoss), ("validation/bits_per_byte", evaluation.bitsPerByte),
      ]
      for (k, loss) in evaluation.deeperLosses.enumerated() { values.append(("validation/next_\(k + 2)_token", loss)) }
      for (name, loss) in (evaluation.phaseLosses ?? [:]).sorted(by: { $0.key < $1.key }) {
        values.append(("validation/\(name)", loss))
      }
      values.append(("peak_bytes", Double(ProcessMemory.peakBytes)))
      if let statistics = try trainer.connectionStatistics() {
        values.append(("connection/largest_carry_gain", statistics.largestCarryGain))
        values.append(("connection/dynamic_share", statistics.dynamicShare))
      }
      for (layer, loads) in try trainer.expertLoads().enumerated() {
        for (expert, load) in loads.enumerated() { values.append(("expert_load/\(layer)/\(expert)", load)) }
      }
      console.show(evaluation, at: step.number)
    }
    try metrics.write(step: step.number, values.map { ($0.0, .number($0.1)) })
    try board.write(step: step.number, scalars: values.map { ($0.0, $0.1) })
  }

  private func writeSample() throws {
    guard let text = try sample?(trainer.model) else { return }
    console.show(sample: text, at: trainer.stepsTaken)
    try board.write(step: trainer.stepsTaken, tag: "sample", text: text)
  }

  private func save(_ evaluation: Evaluation?) throws {
    let step = trainer.stepsTaken
    guard step > lastCheckpoint else { return }
    progress.step = step
    let isBest = evaluation.map { $0.bitsPerByte < progress.bestBitsPerByte ?? .infinity } ?? false
    if let evaluation, isBest {
      progress.bestStep = step
      progress.bestBitsPerByte = evaluation.bitsPerByte
    }
    try directory.writeCheckpoint(step: step) {
      try TrainingCheckpoint.write(trainer, progress: progress, files: files, into: $0)
    }
    if isBest { try directory.markBest(step: step) }
    try directory.keepCheckpoints(newest: trainer.recipe.checkpoint.keep)
    lastCheckpoint = step
    console.note("step \(step): checkpoint saved")
  }
}
