import Checkpoint
import Foundation
import LanguageModel
import Torch

/// A model folder from which training can go on: beside the model, or the adapters of one, the optimizer's moments and where the run stood.
public struct TrainingCheckpoint {
  /// Where a run stood.
  public struct Progress: Codable, Hashable, Sendable {
    /// Steps that had been taken.
    public var step: Int
    /// The step with the fewest bits per byte on held-out text so far.
    public var bestStep: Int?
    /// The bits per byte at that step.
    public var bestBitsPerByte: Double?

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

  private static let progressName = "training.json"
  private static let momentsName = "optimizer.safetensors"

  /// The checkpoint in a folder.
  ///
  /// - Throws: `TrainingError` if the folder has no readable `training.json`.
  public init(_ url: URL) throws {
    self.url = url
    let file = url.appending(path: Self.progressName)
    do {
      progress = try JSONDecoder().decode(Progress.self, from: Data(contentsOf: file))
    } catch {
      throw TrainingError("\(file.path): cannot be read as the state of a run")
    }
  }

  /// The model's weights.
  func weights() throws -> [String: Tensor] { try ModelFolder(url).readTensors() }

  /// The optimizer's moments.
  func moments() throws -> [String: Tensor] { try SafetensorsFile(url.appending(path: Self.momentsName)).tensors() }

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
    try AtomicFile.write(try encoder.encode(progress), to: folder.appending(path: progressName))
    for (name, data) in files { try AtomicFile.write(data, to: folder.appending(path: name)) }
  }
}
