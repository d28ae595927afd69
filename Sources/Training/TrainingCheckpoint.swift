import CheckedInput
import Checkpoint
import Foundation
import LanguageModel
import Torch

/// A model folder from which training can go on: next to the model, or the adapters of one, the optimizer's moments,
/// the recipe, and where the run stood.
public struct TrainingCheckpoint {
  /// What a run is trained on; a checkpoint continues with nothing else.
  struct Sources: Codable, Hashable, Sendable {
    /// The fingerprint of the prepared data.
    var data: String?
    /// That of the weights of the model that is distilled.
    var teacher: String?
  }

  /// Where a run stood.
  public struct Progress: Codable, Hashable, Sendable {
    /// Steps that had been taken.
    public var step: Int
    /// The step with the fewest bits per byte on held-out text so far.
    public var bestStep: Int?
    /// The bits per byte at that step.
    public var bestBitsPerByte: Double?
    /// What the run is trained on; nil in the checkpoints of earlier versions.
    var sources: Sources?

    /// A run at a step.
    public init(step: Int, bestStep: Int? = nil, bestBitsPerByte: Double? = nil) {
      self.step = step
      self.bestStep = bestStep
      self.bestBitsPerByte = bestBitsPerByte
    }
  }

  /// The folder.
  public let url: URL
  /// Where the run stood.
  public let progress: Progress

  /// The file that says where the run stood, which no other folder has.
  static let progressName = "training.json"
  private static let momentsName = "optimizer.safetensors"
  private static let recipeName = "recipe.yaml"

  /// The checkpoint in a folder.
  ///
  /// - Throws: `InputError` if the folder has no readable `training.json`, or one of another step.
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

  /// The model's weights.
  func weights() throws -> [String: Tensor] { try ModelFolder(url).readTensors() }

  /// The optimizer's moments.
  func moments() throws -> [String: Tensor] { try SafetensorsFile(url.appending(path: Self.momentsName)).tensors() }

  /// Reads everything that the checkpoint keeps.
  ///
  /// - Throws: `NotFiniteError` if some of it is not finite; what reading throws.
  func requireIntact() throws {
    let adapters = url.appending(path: StoredModel.adapterFileName)
    let isAdapted = isThere(adapters.path)
    try NotFiniteError.check(isAdapted ? SafetensorsFile(adapters).tensors() : weights(), "weight")
    try NotFiniteError.check(moments(), "optimizer's")
  }

  /// Fails if a recipe says to compute something else than the one that the checkpoint was written by.
  func requireRecipe(_ recipe: Recipe) throws {
    let file = url.appending(path: Self.recipeName)
    let kept: Recipe
    if isThere(file.path) {
      kept = try Recipe(yaml: Recipe.text(of: file.path), name: file.path)
    } else {
      // Earlier versions kept the model alone, and of adapters not even that.
      let file = url.appending(path: "config.json")
      guard isThere(file.path) else { return }
      var recipe = recipe
      recipe.model = try ValueDecoder(file.path).decode(ModelConfiguration.self, from: JSONValue(contentsOf: file))
      kept = recipe
    }
    guard let change = try recipe.change(from: kept) else { return }
    throw TrainingError(
      "recipe.yaml: \(change.key) is \(change.new), and was \(change.old) when step \(progress.step) was saved: expected "
        + "the same; a new run may start from the checkpoint with --from")
  }

  /// Fails if a run that continues would be trained on something else.
  func requireSources(_ sources: Sources, data: String, teacher: String?) throws {
    if let own = progress.sources?.data, let other = sources.data, own != other {
      throw TrainingError(
        "\(printable(data)): has other text than step \(progress.step) was trained on (\(other), not \(own)): expected "
          + "the same data; a new run may start from the checkpoint with --from")
    }
    if let own = progress.sources?.teacher, let other = sources.teacher, own != other {
      throw TrainingError(
        "\(printable(teacher ?? "")): has other weights than step \(progress.step) was trained on (\(other), not "
          + "\(own)): expected the same model")
    }
  }

  /// Writes a checkpoint's files into a folder.
  ///
  /// - Parameter files: what else a model folder needs, by name, such as `tokenizer.json`.
  static func write(_ trainer: Trainer, progress: Progress, files: [String: Data], into folder: URL) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try trainer.writeWeights(into: folder)
    let moments = trainer.optimizer.moments.map { (name: $0.key, tensor: $0.value) }
    try Safetensors.write(moments, to: folder.appending(path: momentsName))
    let configuration = try encoder.encode(trainer.model.configuration)
    let name = trainer.recipe.lora == nil ? "config.json" : StoredModel.configurationName
    try AtomicFile.write(configuration, to: folder.appending(path: name))
    try AtomicFile.write(Data(trainer.recipe.yaml().utf8), to: folder.appending(path: recipeName))
    var progress = progress
    progress.sources = trainer.sources
    try AtomicFile.write(try encoder.encode(progress), to: folder.appending(path: progressName))
    for (name, data) in files { try AtomicFile.write(data, to: folder.appending(path: name)) }
  }
}
