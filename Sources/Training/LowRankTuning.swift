import CheckedInput
import Checkpoint
import Foundation
import LanguageModel
import Torch

/// The weights of a run that tunes adapters: those of the model that it starts from, where its files are mapped and in
/// their own types, with adapters beside them.
struct LowRankTuning {
  /// The model's weights, which stay as they are, with the adapters, which do not.
  let weights: WeightStore
  private let configuration: AdapterConfiguration
  private let fingerprint: String

  /// Fresh adapters, or those of a checkpoint.
  ///
  /// - Throws: `CheckpointError` if there is no whole model in the folder, or another one than the checkpoint's adapters
  ///   were trained for.
  init(
    _ lora: Recipe.LowRankAdaptation, of folder: String, _ recipe: Recipe, from checkpoint: TrainingCheckpoint?,
    on device: Device
  ) throws {
    let start = try StoredModel(ModelFolder(fileURL(folder)))
    try start.requireWhole()
    let stored = try checkpoint.map { try StoredModel(ModelFolder($0.url), base: start.folder) } ?? start
    let tensors = try stored.tensors(recipe.model)
    let modules = lora.modules
    let fresh = LowRankAdapters(
      rank: lora.rank, scale: lora.alpha / Double(lora.rank),
      weights: WeightStore(seed: recipe.training.seed, on: device)
    ) { name in modules.contains { name.hasSuffix(".\($0)") } }
    let adapters = try stored.adapters(beside: tensors, dtype: .float32, mutable: true, on: device) ?? fresh
    fingerprint = try StoredModel.fingerprint(of: tensors)
    configuration = AdapterConfiguration(
      rank: lora.rank, alpha: lora.alpha, targets: modules, base: start.folder.url.path)
    weights = WeightStore(stored: tensors, mutable: false, on: device, adapters: adapters)
  }

  /// Writes the adapters' two files into a folder.
  func write(into folder: URL) throws {
    guard let adapters = weights.adapters else { return }
    try StoredModel.write(adapters, configuration, fingerprint: fingerprint, into: folder)
  }
}
