import Foundation
import WidebandCheckedInput
import WidebandCheckpoint
import WidebandLanguageModel
import WidebandTorch

/// LoRA tuning: the frozen weights of the model that the run starts from, mapped from its files in their dtypes, and
/// the adapters, which are trained.
struct LowRankTuning {
  /// The frozen weights with the trained adapters.
  let weights: WeightStore
  private let configuration: AdapterConfiguration
  private let fingerprint: String

  /// New adapters, or those of a checkpoint.
  ///
  /// - Throws: `CheckpointError` if the folder is no model folder, or contains other weights than those that the
  ///   checkpoint's adapters were trained on.
  init(
    _ lora: Recipe.LowRankAdaptation, of folder: String, _ recipe: Recipe, from checkpoint: TrainingCheckpoint?,
    on device: Device
  ) throws {
    let start = try ModelSource(ModelFolder(fileURL(folder)))
    try start.requireWhole()
    let source = try checkpoint.map { try ModelSource(ModelFolder($0.url), base: start.folder) } ?? start
    let tensors = try source.tensors(recipe.model)
    let modules = lora.modules
    let new = LowRankAdapters(
      rank: lora.rank, scale: lora.alpha / Double(lora.rank),
      weights: WeightStore(seed: recipe.training.seed, on: device)
    ) { name in modules.contains { name.hasSuffix(".\($0)") } }
    let adapters = try source.adapters(for: tensors, dtype: .float32, mutable: true, on: device) ?? new
    fingerprint = try ModelSource.fingerprint(of: tensors)
    configuration = AdapterConfiguration(
      rank: lora.rank, alpha: lora.alpha, targets: modules, base: start.folder.url.path)
    weights = WeightStore(stored: tensors, mutable: false, on: device, adapters: adapters)
  }

  /// Writes the two files of the adapters into a folder.
  func write(into folder: URL) throws {
    guard let adapters = weights.adapters else { return }
    try ModelSource.write(adapters, configuration, fingerprint: fingerprint, into: folder)
  }
}
