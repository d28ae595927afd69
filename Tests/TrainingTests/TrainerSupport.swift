import Foundation
import TestSupport
import WidebandDistributed
import WidebandLanguageModel
import WidebandTorch

@testable import WidebandData
@testable import WidebandTraining

/// A short text, tokenized by bytes, and trainers on it.
struct TrainerFixture {
  /// The folder of all files.
  let folder: TemporaryFolder
  /// The recipe of the trainers.
  private(set) var recipe: Recipe
  private var train: TokenDataset
  private var validation: TokenDataset

  /// Training with a recipe of the fixtures: "plain", "wide" or "mixture".
  init(_ name: String, _ changes: String...) throws { try self.init(in: TemporaryFolder(), name, changes) }

  /// The same, in an existing folder.
  init(in folder: TemporaryFolder, _ name: String, _ changes: [String]) throws {
    self.folder = folder
    var options = DataPreparation.Options()
    options.validationFraction = 0.2
    if !FileManager.default.fileExists(atPath: folder("data")) {
      _ = try DataPreparation([Fixtures.url("golden/genesis.txt").path], encoder: ByteEncoder(), options: options)
        .run(into: folder("data"))
    }
    train = try TokenDataset(folder: folder("data"), split: .train)
    validation = try TokenDataset(folder: folder("data"), split: .validation)
    recipe = try Recipe(yaml: RecipeTests.text(name), name: name, changes: changes, vocabularySize: 257)
  }

  /// The same data with a changed recipe.
  func changed(_ changes: String...) throws -> TrainerFixture {
    var other = self
    other.recipe = try Recipe(yaml: recipe.yaml(), name: "changed", changes: changes)
    return other
  }

  /// The same recipe with other data.
  func trained(on data: String) throws -> TrainerFixture {
    var other = self
    other.train = try TokenDataset(folder: data, split: .train)
    other.validation = try TokenDataset(folder: data, split: .validation)
    return other
  }

  func trainer(from checkpoint: TrainingCheckpoint? = nil, in group: ProcessGroup? = nil) throws -> Trainer {
    try Trainer(recipe, train: train, validation: validation, from: checkpoint, in: group)
  }

  /// The values of one loss in the first steps of a new trainer.
  func losses(_ name: String = "total", steps: Int? = nil) throws -> [Double] {
    let trainer = try trainer()
    return try (0..<(steps ?? recipe.training.steps)).map { _ in
      try trainer.step().losses.first { $0.name == name }?.value ?? .nan
    }
  }

  /// Starts or resumes a run in the folder `name`, up to its end or until `shouldStop` returns true for a step.
  func run(
    _ name: String, in group: ProcessGroup? = nil, shouldStop: (Int) -> Bool = { _ in false },
    sample: ((Int) throws -> Void)? = nil
  ) throws {
    let path = folder(name)
    if let group, group.rank > 0 {
      let step = try Int(group.allGather("")[0])
      let checkpoint = try step.map { try TrainingCheckpoint(.init(step: $0, in: path)) }
      let trainer = try trainer(from: checkpoint, in: group)
      let console = try TrainingConsole(
        recipe, logPath: "\(path)/log-rank-\(group.rank).txt", output: .nullDevice, isTerminal: false,
        operationsPerToken: 1, peakOperations: 1)
      let run = TrainingRun(trainer, progress: checkpoint?.progress, console: console)
      _ = try run.run { shouldStop(trainer.stepsTaken) }
      return
    }
    let isNew = !FileManager.default.fileExists(atPath: path)
    let directory = try isNew ? RunDirectory(creating: path) : RunDirectory(resuming: path)
    try recipe.yaml().write(toFile: directory.recipePath, atomically: true, encoding: .utf8)
    let checkpoint = try directory.checkpoints().first.map { try TrainingCheckpoint($0) }
    _ = try group?.allGather(checkpoint.map { "\($0.progress.step)" } ?? "")
    let trainer = try trainer(from: checkpoint, in: group)
    let console = try TrainingConsole(
      recipe, logPath: directory.logPath, isTerminal: false, operationsPerToken: 1, peakOperations: 1)
    let run = try TrainingRun(
      trainer, in: directory, progress: checkpoint?.progress, files: ["note.txt": Data("next to the model".utf8)],
      console: console
    ) { _ in
      try sample?(trainer.stepsTaken)
      return "text"
    }
    _ = try run.run { shouldStop(trainer.stepsTaken) }
  }

  /// The metrics of each step of a run, without those that depend on the machine.
  func metrics(_ name: String) throws -> [[String: Double]] {
    try MetricsFile.read(folder("\(name)/metrics.jsonl")).map { line in
      line.values.filter { $0.key != "tokens_per_second" && $0.key != "peak_bytes" }
        .merging(["step": Double(line.step)]) { first, _ in first }
    }
  }

  func bytes(_ name: String) throws -> Data { try Data(contentsOf: URL(filePath: folder(name))) }
}
