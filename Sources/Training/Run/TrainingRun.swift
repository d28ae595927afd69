import Foundation
import WidebandCheckedInput
import WidebandCheckpoint
import WidebandDistributed
import WidebandLanguageModel
import WidebandTorch

/// The loop of a training run: steps, evaluation, samples, metrics and checkpoints.
///
/// If the process is killed, the folder contains the last complete checkpoint. A run that is resumed from it computes
/// the same results bit for bit. Of several processes that train together the first one has the folder.
public final class TrainingRun {
  /// The trainer.
  public let trainer: Trainer
  /// The folder of the run; nil in all processes but the first.
  public let directory: RunDirectory?

  private let files: [String: Data]
  private let sample: ((LanguageModel) throws -> String)?
  private let console: TrainingConsole
  private let metrics: MetricsWriter?
  private let board: TensorBoardWriter?
  private var progress: TrainingCheckpoint.Progress
  private var lastCheckpoint: Int

  /// The number of steps after which processes compare their weights.
  private static let weightCheckInterval = 100

  /// A run in a folder.
  ///
  /// - Parameters:
  ///   - trainer: the trainer.
  ///   - directory: the folder of the run.
  ///   - progress: the progress of the checkpoint that the trainer started from; nil for a new run.
  ///   - files: further files of each checkpoint by name, such as `tokenizer.json`.
  ///   - console: shows the progress.
  ///   - sample: generates a text with the current model.
  /// - Throws: `RunDirectoryError` if the folder has metrics but lacks the checkpoint that they imply; the errors of
  ///   opening the files of metrics.
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
    let metrics = try MetricsWriter(directory.metricsPath, after: trainer.stepsTaken)
    self.metrics = metrics
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

  /// The run in another process than the first, which takes part in its steps and checkpoints.
  ///
  /// - Parameter console: has a log of its own, and shows nothing.
  public init(_ trainer: Trainer, progress: TrainingCheckpoint.Progress?, console: TrainingConsole) {
    (self.trainer, self.console) = (trainer, console)
    (directory, metrics, board, files, sample) = (nil, nil, nil, [:], nil)
    self.progress = progress ?? .init(step: 0)
    lastCheckpoint = progress?.step ?? 0
  }

  /// The outcome of `run`.
  public struct Outcome: Sendable {
    /// Whether all steps were taken.
    public let isFinished: Bool
    /// The last evaluation on held-out data, if any.
    public let evaluation: Evaluation?
  }

  /// Takes steps until all are taken or `shouldStop` returns true, and saves a checkpoint after the last one.
  ///
  /// - Throws: `TrainingError.notFinite` if a loss, a gradient, a weight or a measurement is not finite; that state is
  ///   not saved. `DistributedError.ranksLost` and `rankEnded` with the step and the last checkpoint. The errors of writing files.
  public func run(shouldStop: () -> Bool = { false }) throws -> Outcome {
    do { return try takeSteps(shouldStop) } catch DistributedError.ranksLost(let ranks, let sentence) {
      throw DistributedError.ranksLost(ranks, withProgress(sentence))
    } catch DistributedError.rankEnded(let sentence) {
      throw DistributedError.rankEnded(withProgress(sentence))
    }
  }

  private func withProgress(_ sentence: String) -> String {
    let last =
      lastCheckpoint > 0 ? "the last checkpoint is that of step \(lastCheckpoint)" : "there is no checkpoint yet"
    return "\(sentence), after step \(trainer.stepsTaken); \(last)"
  }

  private func takeSteps(_ shouldStop: () -> Bool) throws -> Outcome {
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
      let step = try reportingLastCheckpoint { try trainer.step() }
      console.show(step, seconds: (clock.now - started) / .seconds(1))
      let isLast = step.number == steps
      if isDue(Self.weightCheckInterval, step.number) { try trainer.requireSameWeights() }
      let isStopping = try isStopping(shouldStop())
      let isMeasured = trainer.hasHeldOutText && (isDue(recipe.validation.interval, step.number) || isLast)
      let isSampled = isDue(recipe.sample.interval, step.number)
      let isSaved = isDue(recipe.checkpoint.interval, step.number) || isLast || isStopping
      let measured = try reportingLastCheckpoint {
        // A weight that overflowed in this step has not affected a loss yet.
        if isMeasured || isSampled || isSaved { try requireFinite(after: step.number) }
        return isMeasured ? try trainer.evaluate() : nil
      }
      evaluation = measured ?? evaluation
      try recordMetrics(of: step, measured)
      if isSaved { try save(measured) }
      if isSampled { try writeSample() }
      if isStopping { break }
    }
    console.end()
    return Outcome(isFinished: trainer.stepsTaken >= steps, evaluation: evaluation)
  }

  /// Whether any process has been asked to stop.
  private func isStopping(_ isAsked: Bool) throws -> Bool {
    guard let group = trainer.group else { return isAsked }
    return try group.allGather([isAsked ? 1 : 0]).contains { $0 != [0] }
  }

  private func isDue(_ interval: Int, _ step: Int) -> Bool { interval > 0 && step.isMultiple(of: interval) }

  private func requireFinite(after step: Int) throws {
    func check() throws {
      do { try trainer.requireFinite() } catch let error as NotFiniteError {
        throw NotFiniteError("step \(step): \(error) after the update; nothing of it was saved")
      }
    }
    if let group = trainer.group { try group.together(check) } else { try check() }
  }

  /// Calls `body` and adds the state of the last checkpoint to a `NotFiniteError`.
  private func reportingLastCheckpoint<Result>(_ body: () throws -> Result) throws -> Result {
    do { return try body() } catch let error as NotFiniteError {
      throw TrainingError.notFinite("\(error); \(stateOfLastCheckpoint())")
    }
  }

  private func stateOfLastCheckpoint() -> String {
    do {
      guard let last = try directory?.checkpoints().first else { return "there is no checkpoint yet" }
      do { try TrainingCheckpoint(last).requireIntact() } catch {
        return "the last checkpoint, of step \(last.step), cannot be continued: \(error)"
      }
      return "the last checkpoint, of step \(last.step), is intact"
    } catch { return "\(error)" }
  }

  /// Checks that a run without a checkpoint has no metrics of steps after which one was due: starting at step 0 would
  /// drop them.
  private static func requireNoLostCheckpoint(_ recipe: Recipe, _ directory: RunDirectory) throws {
    var last = 0
    try MetricsFile.forEachLine(directory.metricsPath) { line, _ in last = max(last, line.step) }
    guard last > recipe.checkpoint.interval else { return }
    throw RunDirectoryError.damaged(
      path: directory.path,
      sentence:
        "has metrics up to step \(last) and no checkpoint, though every \(recipe.checkpoint.interval) steps one is saved: "
        + "expected it in the folder checkpoints; remove metrics.jsonl to begin at step 0")
  }

  private func recordMetrics(of step: Trainer.Step, _ evaluation: Evaluation?) throws {
    var values = step.losses.map { ("train/\($0.name)", $0.value) }
    values.append(("gradient_norm", step.gradientNorm))
    values.append(("learning_rate", step.learningRate))
    values.append(("tokens_per_second", console.tokensPerSecond))
    if let evaluation {
      values += [
        ("validation/next_token", evaluation.nextTokenLoss), ("validation/bits_per_byte", evaluation.bitsPerByte),
      ]
      for (k, loss) in evaluation.mtpLosses.enumerated() { values.append(("validation/next_\(k + 2)_token", loss)) }
      for (name, loss) in (evaluation.phaseLosses ?? [:]).sorted(by: { $0.key < $1.key }) {
        values.append(("validation/\(name)", loss))
      }
      values.append(("peak_bytes", Double(ProcessMemory.peakBytes)))
      if let statistics = try trainer.connectionStatistics() {
        values.append(("connection/largest_carry_gain", statistics.largestCarryGain))
        values.append(("connection/dynamic_share", statistics.dynamicShare))
        if let norm = statistics.extraReadNorm { values.append(("connection/extra_read_norm", norm)) }
        if let deviation = statistics.extraReadDeviation {
          values.append(("connection/extra_read_deviation", deviation))
        }
      }
      for (layer, loads) in try trainer.expertLoads().enumerated() {
        for (expert, load) in loads.enumerated() { values.append(("expert_load/\(layer)/\(expert)", load)) }
      }
      console.show(evaluation, at: step.number)
    }
    try metrics?.write(step: step.number, values.map { ($0.0, $0.1) })
    try board?.write(step: step.number, scalars: values.map { ($0.0, $0.1) })
  }

  private func writeSample() throws {
    guard let text = try sample?(trainer.model) else { return }
    console.show(sample: text, at: trainer.stepsTaken)
    try board?.write(step: trainer.stepsTaken, tag: "sample", text: text)
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
    if let directory {
      try directory.writeCheckpoint(step: step, write)
      if isBest { try directory.markBest(step: step) }
      try directory.keepCheckpoints(newest: trainer.recipe.checkpoint.keep)
    } else {
      try write(into: nil)
    }
    lastCheckpoint = step
    console.note("step \(step): checkpoint saved")
  }

  /// Writes this process's files of a checkpoint.
  ///
  /// - Parameter folder: the folder that the first process makes; nil in the others.
  private func write(into folder: URL?) throws {
    func writeModel() throws {
      guard let folder else { return }
      try TrainingCheckpoint.write(trainer, progress: progress, files: files, into: folder)
    }
    guard let group = trainer.group else { return try writeModel() }
    try group.together(writeModel)
    let path = try group.allGather(folder?.path ?? "")[0]
    try ShardedMoments.write(trainer.optimizer, group, into: fileURL(path, directoryHint: .isDirectory))
  }
}
