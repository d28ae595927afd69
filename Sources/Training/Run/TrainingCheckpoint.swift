import Foundation
import WidebandCheckedInput
import WidebandCheckpoint
import WidebandLanguageModel
import WidebandTorch

/// A checkpoint of a run: a model folder or folder of adapters with the optimizer's moments, the recipe, and the
/// progress of the run.
public struct TrainingCheckpoint {
  /// The fingerprints of a run's data and teacher, which must not change when it is resumed.
  struct Sources: Codable, Hashable, Sendable {
    /// The fingerprint of the prepared data.
    var data: String?
    /// The fingerprint of the teacher's weights; nil without distillation.
    var teacher: String?
  }

  /// The progress of a run.
  public struct Progress: Codable, Hashable, Sendable {
    /// The number of steps taken.
    public var step: Int
    /// The step with the lowest bits per byte on held-out data so far.
    public var bestStep: Int?
    /// The bits per byte at that step.
    public var bestBitsPerByte: Double?
    /// The fingerprints of the data and the teacher; nil in checkpoints of earlier versions.
    var sources: Sources?

    /// The progress of a run after `step` steps.
    public init(step: Int) { self.step = step }
  }

  /// The folder of the checkpoint.
  public let url: URL
  /// The progress of the run.
  public let progress: Progress

  /// The name of the file of the progress, which other model folders do not contain.
  static let progressName = "training.json"
  static let weightsName = "model.safetensors"
  private static let momentsName = "optimizer.safetensors"
  private static let recipeName = "recipe.yaml"

  /// Opens the checkpoint in a folder.
  ///
  /// - Throws: `InputError` if its `training.json` cannot be read or has another step than the folder's name.
  public init(_ folder: RunDirectory.CheckpointFolder) throws {
    url = fileURL(folder.path)
    let file = url.appending(path: Self.progressName)
    let name = printable(file.path)
    progress = try ValueDecoder(name).decode(Progress.self, from: JSONValue(contentsOf: file, limit: 1 << 20))
    guard progress.step == folder.step else {
      throw InputError("\(name): step is \(progress.step): expected \(folder.step), the step of its folder")
    }
    if let best = progress.bestStep {
      guard (1...progress.step).contains(best) else {
        throw InputError("\(name): bestStep is \(best): expected an integer \(describe(1...progress.step))")
      }
    }
  }

  /// The number of processes that wrote it.
  public var processes: Int { get throws { try ShardedMoments.manifest(url)?.files.count ?? 1 } }

  /// The model's weights.
  func weights() throws -> [String: Tensor] { try ModelFolder(url).readTensors() }

  /// The optimizer's moments.
  func moments() throws -> StoredMoments {
    try ShardedMoments.read(url) ?? .named(SafetensorsFile(url.appending(path: Self.momentsName)).tensors())
  }

  /// Checks that the weights or adapters and the moments can be read and are finite.
  ///
  /// - Throws: `NotFiniteError` if some are not finite; the errors of reading them.
  func requireIntact() throws {
    let adapters = url.appending(path: ModelSource.adapterFileName)
    let isAdapted = exists(adapters.path)
    try NotFiniteError.check(isAdapted ? SafetensorsFile(adapters).tensors() : weights(), "weight")
    try NotFiniteError.check(moments().tensors, "optimizer's")
  }

  /// Checks that a recipe computes the same steps as the one that the checkpoint was trained with.
  ///
  /// - Throws: `TrainingError.recipeChanged` that names the first key that differs.
  func requireRecipe(_ recipe: Recipe) throws {
    let file = url.appending(path: Self.recipeName)
    let saved: Recipe
    if exists(file.path) {
      saved = try Recipe(yaml: Recipe.text(of: file.path), name: file.path)
    } else {
      // Checkpoints of earlier versions contain no recipe, but the model's configuration; those of adapters contain
      // neither.
      let file = url.appending(path: "config.json")
      guard exists(file.path) else { return }
      var recipe = recipe
      recipe.model = try ValueDecoder(file.path).decode(ModelConfiguration.self, from: JSONValue(contentsOf: file))
      saved = recipe
    }
    guard let change = try recipe.change(from: saved) else { return }
    throw TrainingError.recipeChanged(
      "recipe.yaml: \(change.key) is \(change.new), and was \(change.old) when step \(progress.step) was saved: expected "
        + "the same; a new run may start from the checkpoint with --from")
  }

  /// Checks that the data and the teacher are those that the checkpoint was trained with.
  ///
  /// - Throws: `TrainingError.sourcesChanged`.
  func requireSources(_ sources: Sources, data: String, teacher: String?) throws {
    if let own = progress.sources?.data, let other = sources.data, own != other {
      throw TrainingError.sourcesChanged(
        "\(printable(data)): has other text than step \(progress.step) was trained on (\(other), not \(own)): expected "
          + "the same data; a new run may start from the checkpoint with --from")
    }
    if let own = progress.sources?.teacher, let other = sources.teacher, own != other {
      throw TrainingError.sourcesChanged(
        "\(printable(teacher ?? "")): has other weights than step \(progress.step) was trained on (\(other), not "
          + "\(own)): expected the same model")
    }
  }

  /// Writes the files of a checkpoint into a folder, without the moments of several processes.
  ///
  /// - Parameter files: further files of the model folder by name, such as `tokenizer.json`.
  static func write(_ trainer: Trainer, progress: Progress, files: [String: Data], into folder: URL) throws {
    let encoder = JSONEncoder.indented
    try trainer.writeWeights(into: folder)
    if trainer.group == nil {
      let moments = trainer.optimizer.moments.map { (name: $0.key, tensor: $0.value) }
      try Safetensors.write(moments, to: folder.appending(path: momentsName))
    }
    let configuration = try encoder.encode(trainer.model.configuration)
    let name = trainer.recipe.lora == nil ? "config.json" : ModelSource.configurationName
    try AtomicFile.write(configuration, to: folder.appending(path: name))
    try AtomicFile.write(Data(trainer.recipe.yaml().utf8), to: folder.appending(path: recipeName))
    var progress = progress
    progress.sources = trainer.sources
    try AtomicFile.write(try encoder.encode(progress), to: folder.appending(path: progressName))
    for (name, data) in files { try AtomicFile.write(data, to: folder.appending(path: name)) }
  }
}
