import Foundation
import OrderedCollections
import WidebandCheckpoint
import WidebandData
import WidebandLanguageModel
import WidebandTorch

/// Tuning for Direct Multi-Token Decoding: the gate of each row, the frozen weights, and the losses, which may include
/// those of distillation.
///
/// In conversations cycles begin with every answer, and the gate is open elsewhere. A row of plain text begins with a
/// prompt, in which the gate is open; its length is sampled between 0 and half of the row, and cycles follow. The cycle
/// length of a row is sampled from the recipe's list. Samples are a function of the seed, the step and the row.
///
/// Source: Direct Multi-Token Decoding, arXiv 2510.11958.
struct DirectTuning {
  private let settings: Recipe.DirectDecoding
  private let configuration: ModelConfiguration
  private let seed: UInt64
  private let teacher: LanguageModel?
  /// The fingerprint of the teacher's weights; nil without distillation.
  let teacherFingerprint: String?

  /// - Parameter untuned: the teacher's weights, if they are in memory; nil to load them.
  /// - Throws: the errors of loading the teacher.
  init(
    _ settings: Recipe.DirectDecoding, _ recipe: Recipe, untuned: OrderedDictionary<String, Tensor>? = nil,
    on device: Device
  ) throws {
    self.settings = settings
    configuration = recipe.model
    seed = recipe.training.seed
    if settings.objective == .distillation, let folder = recipe.from {
      let weights =
        try untuned.map {
          WeightStore(stored: Dictionary(uniqueKeysWithValues: $0.map { ($0, $1) }), mutable: false, on: device)
        }
        ?? WeightStore(stored: recipe.model.wholeWeights(in: folder), dtype: .float32, mutable: false, on: device)
      teacher = try LanguageModel(recipe.model, weights: weights, computingIn: device.computeDType)
      teacherFingerprint = try ModelSource.fingerprint(
        of: Dictionary(uniqueKeysWithValues: weights.tensors.map { ($0, $1) }))
    } else {
      (teacher, teacherFingerprint) = (nil, nil)
    }
  }

  /// The weights that are not frozen.
  func trainedWeights(of weights: OrderedDictionary<String, Tensor>) -> OrderedDictionary<String, Tensor> {
    let table = "model.embed_tokens.weight"
    var frozen: Set<String> = []
    for parameter in settings.frozen {
      switch parameter {
      case .embedding: frozen.formUnion([table, "model.embed_expand.weight"])
      case .head: frozen.insert(configuration.isHeadTied ? table : "lm_head.weight")
      }
    }
    return weights.filter { !frozen.contains($0.key) }
  }

  /// The gate of a batch, which contains the rows from `firstRow` on of the `rowCount` rows of a step.
  ///
  /// - Throws: the first error of an operator.
  func gate(over batch: Batch, step: Int, firstRow: Int, of rowCount: Int) throws -> CycleGate {
    let (rows, length) = (batch.tokens.size(0), batch.tokens.size(1))
    let keys = (0..<rows).map {
      DataPermutation.hash(UInt64(step) &* UInt64(rowCount) &+ UInt64(firstRow + $0), key: seed &+ 1)
    }
    let answers = try batch.packing?.anchors.elements(Int64.self).map(Int.init)
    let anchors =
      answers
      ?? keys.flatMap { key in
        Array(repeating: Int(DataPermutation.hash(1, key: key) % UInt64(length / 2 + 1)), count: length)
      }
    let phases = CycleGate.phases(anchors: anchors, length: length) { row in
      settings.cycles[Int(DataPermutation.hash(0, key: keys[row]) % UInt64(settings.cycles.count))]
    }
    return try CycleGate(phases: phases, like: batch.tokens, configuration)
  }

  /// The losses of a batch in a pass with a gate.
  func losses(_ model: LanguageModel, _ batch: Batch, in context: ForwardContext) -> Losses {
    let teacherLogits = withoutGradients {
      teacher.map { $0.logits(of: $0.trunk(batch.tokens, in: batch.context(configuration))) }
    }
    return model.losses(batch.tokens, targets: batch.targets, in: context, distilling: teacherLogits)
  }
}
