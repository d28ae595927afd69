import Foundation
import TestSupport
import Testing
import WidebandCheckpoint
import WidebandLanguageModel
import WidebandTorch

@testable import WidebandData
@testable import WidebandTraining

struct DirectTuningTests {
  private static let tuning = [
    "direct_decoding.encoding_layers=0", "direct_decoding.decoding_layers=1", "direct_decoding.gate=select",
    "direct_decoding.cycles=[2,3]", "direct_decoding.objective=cross_entropy", "direct_decoding.frozen=[]",
  ]

  /// A run that tunes the model of another run, in the same folder.
  private func fixture(_ name: String = "wide", _ changes: String...) throws -> TrainerFixture {
    let start = try TrainerFixture(name, "training.steps=4", "checkpoint.interval=4")
    try start.run("start")
    return try TrainerFixture(
      in: start.folder, name,
      ["training.steps=10", "from=\(start.folder("start/checkpoints/step-00000004"))"] + Self.tuning + changes)
  }

  @Test(arguments: ["cross_entropy", "distillation"]) func aRunThatWasStoppedGoesOnBitForBit(_ objective: String) throws
  {
    let fixture = try fixture("wide", "direct_decoding.objective=\(objective)", "direct_decoding.frozen=[embedding]")
    try fixture.run("whole")
    for step in [1, 4] { try fixture.run("stopped", shouldStop: { $0 == step }) }
    try fixture.run("stopped")
    #expect(try fixture.metrics("whole") == fixture.metrics("stopped"))
    #expect(try fixture.metrics("whole").count == 10)
    for file in ["model.safetensors", "optimizer.safetensors", "config.json", "training.json"] {
      let path = "checkpoints/step-00000010/\(file)"
      #expect(try fixture.bytes("whole/\(path)") == fixture.bytes("stopped/\(path)"), "\(file)")
    }
  }

  @Test("tuning starts from the folder's weights and writes the layer split") func tuning_start() throws {
    let fixture = try fixture()
    let trainer = try fixture.trainer()
    let start = try ModelFolder(URL(filePath: try #require(fixture.recipe.from))).readTensors()
    for (name, tensor) in trainer.model.weights.tensors {
      #expect(try areIdentical(tensor.detached(), try #require(start[name])))
    }
    #expect(trainer.stepsTaken == 0)
    let split = try #require(trainer.model.configuration.directDecoding)
    #expect(split == .init(encodingLayers: 0, decodingLayers: 1, cycle: 3, gate: .select))
    let losses = try trainer.step().losses
    #expect(losses.map(\.name) == ["total", "next_token", "phase_0", "phase_1", "phase_2"])
    #expect(losses[0].value == losses[1].value)
    try fixture.run("run")
    let configuration = try ModelFolder(URL(filePath: fixture.folder("run/best"))).configurationData()
    #expect(try JSONDecoder().decode(ModelConfiguration.self, from: configuration).directDecoding == split)
    let metrics = try fixture.metrics("run")
    #expect(metrics.allSatisfy { $0["train/phase_2"] != nil })
    #expect(metrics.last?["validation/phase_1"] != nil)
  }

  @Test func lossesByPhaseAreMeansOverTheirPositions() throws {
    var losses = PhaseLosses()
    let phases = Tensor([-1, 0, 1, 0, 1, 2] as [Int64], shape: [2, 3])
    let targets = Tensor([5, 5, 5, 5, -100, 5] as [Int64], shape: [2, 3])
    try losses.add(Tensor([9, 1, 2, 3, 0, 7] as [Float], shape: [2, 3]), phases: phases, targets: targets)
    #expect(losses.named.map(\.name) == ["phase_0", "phase_1", "phase_2"])
    #expect(losses.named.map(\.value) == [2, 2, 7])
    var none = PhaseLosses()
    try none.add(.zeros([1, 2]), phases: .full([1, 2], -1, .int64), targets: .zeros([1, 2], .int64))
    #expect(none.named.isEmpty)
  }

  @Test("distillation learns from the untuned model") func distillation_teacher() throws {
    let tuned = try fixture("plain", "direct_decoding.objective=distillation").trainer()
    let first = try tuned.step()
    #expect(first.losses.map(\.name).prefix(3) == ["total", "next_token", "distillation"])
    #expect(first.losses[0].value == first.losses[2].value)
    #expect(first.losses[2].value > 0)
    // With the select gate and cycles of one token, the model equals its teacher.
    let same = try fixture("plain", "direct_decoding.objective=distillation", "direct_decoding.cycles=[1]").trainer()
    let step = try same.step()
    #expect(abs(step.losses[2].value) < 1e-6)
    #expect(step.losses[1].value > 1)
    let ordinary = try fixture("plain", "direct_decoding=null").trainer().step()
    #expect(abs(ordinary.losses[0].value - step.losses[1].value) < 1e-5)
  }

  @Test("frozen weights do not change and have no moments") func frozenWeights_unchanged() throws {
    let trainer = try fixture("plain", "direct_decoding.frozen=[embedding, head]").trainer()
    let frozen = ["model.embed_tokens.weight", "lm_head.weight"]
    let before = try frozen.map { try #require(trainer.model.weights.tensors[$0]).cloned() }
    let other = "model.layers.0.mlp.up_proj.weight"
    let start = try #require(trainer.model.weights.tensors[other]).detached().cloned()
    for _ in 0..<2 { _ = try trainer.step() }
    for (name, tensor) in zip(frozen, before) {
      #expect(try areIdentical(try #require(trainer.model.weights.tensors[name]), tensor))
      #expect(trainer.optimizer.moments["first_moment.\(name)"] == nil)
    }
    #expect(try !areIdentical(try #require(trainer.model.weights.tensors[other]).detached(), start))
  }

  @Test("a gate is a function of seed, step and row") func gate_sampling() throws {
    let recipe = try fixture("plain").recipe
    let tuning = try DirectTuning(try #require(recipe.directDecoding), recipe, on: .cpu)
    func phases(_ step: Int, _ range: Range<Int>) throws -> [[Int64]] {
      let rows = Tensor.zeros([range.count, 32], .int64)
      let batch = Batch(tokens: rows, targets: rows)
      let gate = try tuning.gate(over: batch, step: step, firstRow: range.lowerBound, of: 64)
      let flat = try gate.phases.elements(Int64.self)
      return (0..<range.count).map { Array(flat[(32 * $0)..<(32 * $0 + 32)]) }
    }
    let all = try phases(3, 0..<64)
    #expect(try phases(3, 5..<9) == Array(all[5..<9]))
    #expect(try phases(4, 0..<64) != all)
    var lengths: Set<Int64> = []
    var prompts: Set<Int> = []
    for row in all {
      let prompt = row.prefix { $0 == -1 }.count
      prompts.insert(prompt)
      let cycle = (row.max() ?? 0) + 1
      lengths.insert(cycle)
      #expect(row == (0..<32).map { Int64(CycleGate.phase(of: $0, anchor: prompt, cycle: Int(cycle))) })
    }
    #expect(lengths == [2, 3])
    #expect(prompts.isSubset(of: Set(0...16)))
    #expect(prompts.count > 12)
  }

  @Test("cycles begin with every answer") func gate_ofConversations() throws {
    let recipe = try fixture("plain", "direct_decoding.cycles=[2]").recipe
    let tuning = try DirectTuning(try #require(recipe.directDecoding), recipe, on: .cpu)
    let row = Tensor.zeros([1, 9], .int64)
    let anchors = Tensor([-1, -1, 2, 2, 2, -1, 6, 6, -1] as [Int64], shape: [1, 9])
    let batch = Batch(tokens: row, targets: row, packing: .init(positions: row, documents: row, anchors: anchors))
    let phases = try tuning.gate(over: batch, step: 0, firstRow: 0, of: 1).phases.elements(Int64.self)
    #expect(phases == [-1, -1, 0, 1, 0, -1, 0, 1, -1])
  }

  @Test("recipes that cannot be tuned are rejected") func recipe_invalid() throws {
    func error(_ changes: String...) -> String {
      message {
        _ = try Recipe(
          yaml: RecipeTests.text("plain"), name: "r", changes: Self.tuning + changes, vocabularySize: 257)
      }
    }
    #expect(error() == "no error")
    #expect(
      error("direct_decoding.encoding_layers=1", "direct_decoding.decoding_layers=2")
        == "r: direct_decoding.encoding_layers is 1 and decoding_layers 2: expected together at most the model's 2 layers"
    )
    #expect(error("direct_decoding.cycles=[]") == "r: direct_decoding.cycles has 0 lengths: expected 1 to 1024")
    for cycle in [0, 17] {
      #expect(
        error("direct_decoding.cycles=[2,\(cycle)]")
          == "r: direct_decoding.cycles has \(cycle): expected 1 to 16, at most half of training.sequence_length")
    }
    #expect(
      error("direct_decoding.objective=distillation")
        == "r: direct_decoding.objective is distillation: expected a key 'from', the model to learn from")
    #expect(
      error("direct_decoding.gate=both") == "r: direct_decoding.gate is 'both': expected one of add, select")
    #expect(
      error("direct_decoding.frozen=[tail]")
        == "r: direct_decoding.frozen[0] is 'tail': expected one of embedding, head")
    #expect(
      error("direct_decoding.cycle=3")
        == "--set direct_decoding.cycle=3: there is no key 'direct_decoding.cycle'; "
        + "the nearest is 'direct_decoding.cycles'")
  }

  @Test("a model other than the folder's is rejected") func recipe_otherModel() throws {
    let text = try RecipeTests.text("plain")
    var model = try Recipe(yaml: text, name: "r", vocabularySize: 257).model
    let bare = text.replacing(/model:\n(  .*\n)+/, with: "").replacing(/initial_values:\n(  .*\n)+/, with: "")
    let filled = try Recipe(yaml: bare, name: "r", changes: ["from=here"], startingFrom: model)
    #expect(filled.model == model)
    #expect(try Recipe(yaml: filled.yaml(), name: "r", startingFrom: model) == filled)
    model.headCount = 4
    #expect(
      message {
        _ = try Recipe(yaml: text, name: "r", changes: ["from=here"], vocabularySize: 257, startingFrom: model)
      }
        == "r: model is not that of here/config.json: expected the same, or no key 'model'")
    #expect(
      message { _ = try Recipe(yaml: bare, name: "r", changes: Self.tuning, vocabularySize: 257) }
        == "r: no model: expected --from, or a key 'from' or 'model'")
  }
}
