import Checkpoint
import Foundation
import LanguageModel
import OrderedCollections
import Torch

/// What tuning for Direct Multi-Token Decoding adds to a training step: a gate over each row, the model to learn from,
/// and losses by phase.
///
/// In conversations a cycle begins with every answer, and the gate is open everywhere else. A row of plain text begins
/// with a prompt, in which the gate is open, of a length drawn between none and half of the row; cycles follow. A row's
/// cycle length is drawn from the recipe's. What is drawn is a function of the seed, the step and the row.
struct DirectTuning {
  private let settings: Recipe.DirectDecoding
  private let configuration: ModelConfiguration
  private let seed: UInt64
  private let teacher: LanguageModel?
  /// That of the weights to learn from; nil where the model learns from tokens.
  let teacherFingerprint: String?
  private let device: Device

  /// - Parameter untuned: the weights of the model to learn from, where they are in memory already; nil to load them.
  /// - Throws: what loading the model to learn from throws.
  init(
    _ settings: Recipe.DirectDecoding, _ recipe: Recipe, untuned: OrderedDictionary<String, Tensor>? = nil,
    on device: Device
  ) throws {
    self.settings = settings
    self.device = device
    configuration = recipe.model
    seed = recipe.training.seed
    if settings.objective == .distillation, let folder = recipe.from {
      let weights =
        try untuned.map {
          WeightStore(stored: Dictionary(uniqueKeysWithValues: $0.map { ($0, $1) }), mutable: false, on: device)
        }
        ?? WeightStore(stored: recipe.model.wholeWeights(in: folder), dtype: .float32, mutable: false, on: device)
      teacher = try LanguageModel(recipe.model, weights: weights, computingIn: device.computeDType)
      teacherFingerprint = try StoredModel.fingerprint(
        of: Dictionary(uniqueKeysWithValues: weights.tensors.map { ($0, $1) }))
    } else {
      (teacher, teacherFingerprint) = (nil, nil)
    }
  }

  /// The weights that are trained.
  func trained(_ weights: OrderedDictionary<String, Tensor>) -> OrderedDictionary<String, Tensor> {
    let table = "model.embed_tokens.weight"
    var frozen: Set<String> = []
    for part in settings.frozen {
      switch part {
      case .embedding: frozen.formUnion([table, "model.embed_expand.weight"])
      case .head: frozen.insert(configuration.isHeadTied ? table : "lm_head.weight")
      }
    }
    return weights.filter { !frozen.contains($0.key) }
  }

  /// The gate over some of the `rowCount` rows of a step, of which `batch` has those from `firstRow` on.
  func gate(over batch: Batch, step: Int, firstRow: Int, of rowCount: Int) throws -> CycleGate {
    let (rows, length) = (batch.tokens.size(0), batch.tokens.size(1))
    let answers = try batch.packing?.anchors.elements(Int64.self).map(Int.init)
    let phases = (0..<rows).flatMap { row in
      let key = DataPermutation.hash(UInt64(step) &* UInt64(rowCount) &+ UInt64(firstRow + row), key: seed &+ 1)
      let cycle = settings.cycles[Int(DataPermutation.hash(0, key: key) % UInt64(settings.cycles.count))]
      let drawn = Int(DataPermutation.hash(1, key: key) % UInt64(length / 2 + 1))
      return (0..<length).map { place in
        let anchor = answers?[row * length + place] ?? drawn
        return Int64(anchor < 0 ? CycleGate.promptPhase : CycleGate.phase(of: place, anchor: anchor, cycle: cycle))
      }
    }
    return try CycleGate(phases: Tensor(phases, shape: [rows, length], on: device), configuration)
  }

  /// The losses of rows in a gated pass.
  func losses(_ model: LanguageModel, _ batch: Batch, in pass: Pass) -> Losses {
    let known = withoutGradients {
      teacher.map { $0.logits(of: $0.trunk(batch.tokens, in: batch.pass(configuration))) }
    }
    return model.losses(batch.tokens, targets: batch.targets, in: pass, distilling: known)
  }
}

/// Sums of losses by phase, and the means that they make.
struct PhaseLosses {
  private var sums: [Double] = []
  private var counts: [Double] = []

  /// Adds the loss of each position, `[B, T]`; prompts and ignored targets are left out.
  mutating func add(_ losses: Tensor, phases: Tensor, targets: Tensor) throws {
    let scored = (targets .< 0).not()
    // Without a single head there is nothing to add: the highest phase is that of prompts.
    for phase in 0..<(1 + Int(try phases.max().item())) {
      let mask = ((phases .== phase).to(.float64) * scored.to(.float64)).expanded(losses.shape)
      add(try (losses.to(.float64) * mask).sum().item(), count: try mask.sum().item(), phase: phase)
    }
  }

  private mutating func add(_ sum: Double, count: Double, phase: Int) {
    while sums.count <= phase {
      sums.append(0)
      counts.append(0)
    }
    sums[phase] += sum
    counts[phase] += count
  }

  /// The mean of each phase that occurred, named `phase_0`, `phase_1` …
  var named: [(name: String, value: Double)] {
    sums.indices.filter { counts[$0] > 0 }.map { ("phase_\($0)", sums[$0] / counts[$0]) }
  }
}
