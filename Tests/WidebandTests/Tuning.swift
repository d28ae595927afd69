import Foundation
import TestSupport

/// A preset, reduced to the workspace's model of two layers, and a folder for its runs.
struct Tuning {
  let workspace: Workspace
  let folder: TemporaryFolder
  /// The path of the preset.
  let recipe: String
  private let changes: [String]

  /// A preset of `configs` with further changes.
  init(_ preset: String, _ changes: String...) throws {
    workspace = try .shared()
    folder = try TemporaryFolder()
    recipe =
      Fixtures.folder.deletingLastPathComponent().deletingLastPathComponent().appending(path: "configs/\(preset)").path
    self.changes =
      changes + [
        "training.steps=12", "training.sequence_length=32", "training.tokens_per_step=128",
        "training.rows_per_batch=2", "schedule.warmup_steps=2", "validation.tokens=256", "checkpoint.interval=5",
        "sample.interval=6", "sample.tokens=3",
      ]
  }

  /// The arguments of `train` for a run named "run" in the folder.
  func arguments(_ more: [String] = [], from start: String? = nil) -> [String] {
    ["train", "--recipe", recipe, "--data", workspace("tokens"), "--output", "run", "--from", start ?? workspace.model]
      + (changes + more).flatMap { ["--set", $0] }
  }

  /// Runs `train` to its end.
  func callAsFunction(_ more: String..., from start: String? = nil) throws -> Executable.Result {
    try folder.run(arguments(more, from: start))
  }
}
