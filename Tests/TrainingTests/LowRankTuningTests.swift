import Foundation
import TestSupport
import Testing
import WidebandCheckpoint
import WidebandLanguageModel
import WidebandTorch

@testable import WidebandTraining

struct LowRankTuningTests {
  private static let lora = ["lora={rank: 2, alpha: 3, targets: [attention, feed_forward]}"]
  private static let direct = [
    "direct_decoding={encoding_layers: 0, decoding_layers: 1, gate: select, cycles: [2, 3], "
      + "objective: distillation, frozen: []}"
  ]

  /// A run that adapts the model of another run, in the same folder.
  private func fixture(_ name: String = "wide", _ changes: [String] = []) throws -> TrainerFixture {
    let start = try TrainerFixture(name, "training.steps=4", "checkpoint.interval=4")
    try start.run("start")
    return try TrainerFixture(
      in: start.folder, name,
      ["training.steps=10", "from=\(start.folder("start/checkpoints/step-00000004"))"] + Self.lora + changes)
  }

  private func weights(_ fixture: TrainerFixture) throws -> [String: Tensor] {
    try ModelFolder(URL(filePath: try #require(fixture.recipe.from))).readTensors()
  }

  @Test(arguments: ["plain", "wide", "mixture"]) func adaptersAloneAreTrained(_ name: String) throws {
    let fixture = try fixture(name)
    let trainer = try fixture.trainer()
    let before = try weights(fixture)
    let adapters = try #require(trainer.model.weights.adapters).weights
    #expect(trainer.optimizer.moments.count == 2 * adapters.tensors.count)
    let names = Set(adapters.tensors.keys.map { $0.split(separator: ".").dropLast(2).last.map(String.init) ?? "" })
    #expect(names == ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])
    // New adapters change nothing, so the first loss is the untuned model's.
    let ordinary = try TrainerFixture(in: fixture.folder, name, ["from=\(try #require(fixture.recipe.from))"]).trainer()
    let (first, other) = try (trainer.step().losses[0].value, ordinary.step().losses[0].value)
    #expect(abs(first - other) < 1e-5 * other)
    for _ in 0..<3 { _ = try trainer.step() }
    for (name, tensor) in trainer.model.weights.tensors {
      #expect(try areIdentical(tensor, try #require(before[name])), "\(name)")
      #expect(tensor.gradient == nil)
    }
    for (name, tensor) in adapters.tensors {
      let size = try withTorch { try withoutGradients { try tensor.abs().sum().item() } }
      #expect(size > 0, "\(name)")
    }
  }

  @Test func trainingAdaptersLowersTheLoss() throws {
    let losses = try fixture("plain", ["optimizer.learning_rate=0.03", "training.steps=20"]).losses("next_token")
    let (first, last) = (losses.prefix(4).reduce(0, +), losses.suffix(4).reduce(0, +))
    #expect(last < 0.985 * first)
  }

  /// The gradients of A and B are those of the merged weight times B or A.
  @Test(arguments: ["plain", "wide", "mixture"], [false, true])
  func adapterGradients_followFromMergedWeight(_ name: String, _ recomputes: Bool) throws {
    let trainer = try fixture(name, ["training.activation_checkpointing=\(recomputes)"]).trainer()
    let store = trainer.model.weights
    let adapters = try #require(store.adapters)
    // A new B is zero, and then the gradient of A is zero.
    let random = try RandomTensors(seed: 4)
    for (name, tensor) in adapters.weights.tensors where name.hasSuffix("lora_B.weight") {
      withoutGradients { tensor.copy(from: random.normal(tensor.shape[0], tensor.shape[1])) }
    }
    let configuration = trainer.recipe.model
    let (tokens, targets) = (random.tokens(2, 17, below: 257), random.tokens(2, 17, below: 257))
    func run(_ model: LanguageModel) throws {
      try withTorch {
        let context = ForwardContext(length: 17, configuration: configuration)
        context.recomputesLayers = recomputes
        model.losses(tokens, targets: targets, in: context).total.backward()
      }
    }
    try run(trainer.model)
    let fused = try WeightStore(
      stored: Dictionary(uniqueKeysWithValues: store.fused().map { ($0.name, $0.tensor) }), mutable: true)
    let whole = try LanguageModel(configuration, weights: fused)
    for tensor in fused.tensors.values { tensor.requiringGradient() }
    try run(whole)
    for (name, a) in adapters.weights.tensors where name.hasSuffix("lora_A.weight") {
      let module = name.dropLast("lora_A.weight".count)
      let b = try #require(adapters.weights.tensors[module + "lora_B.weight"])
      // An expert without tokens has no gradient.
      guard let gradient = fused.tensors[module + "weight"]?.gradient else { continue }
      let (down, up) = (a.detached(), b.detached())
      let expected = try withTorch {
        (up.transposed().matmul(gradient) * adapters.scale, gradient.matmul(down.transposed()) * adapters.scale)
      }
      let found = try (#require(a.gradient), #require(b.gradient))
      #expect(try relativeError(of: found.0, to: expected.0) < 1e-4, "\(name)")
      #expect(try relativeError(of: found.1, to: expected.1) < 1e-4, "\(name)")
    }
  }

  @Test(arguments: [[], Self.direct, ["training.activation_checkpointing=true"]])
  func aRunThatWasStoppedGoesOnBitForBit(_ changes: [String]) throws {
    let fixture = try fixture("wide", changes)
    try fixture.run("whole")
    for step in [1, 4] { try fixture.run("stopped", shouldStop: { $0 == step }) }
    try fixture.run("stopped")
    #expect(try fixture.metrics("whole") == fixture.metrics("stopped"))
    #expect(try fixture.metrics("whole").count == 10)
    let files = [
      "adapter_config.json", "adapter_model.safetensors", "note.txt", "optimizer.safetensors", "recipe.yaml",
      "training.json",
      "wideband_config.json",
    ]
    #expect(try fixture.folder.names("whole/checkpoints/step-00000010") == files)
    for file in files {
      let path = "checkpoints/step-00000010/\(file)"
      #expect(try fixture.bytes("whole/\(path)") == fixture.bytes("stopped/\(path)"), "\(file)")
    }
  }

  @Test("the teacher of a LoRA distillation is the model without adapters") func distillation_teacher() throws {
    let trainer = try fixture("plain", Self.direct + ["direct_decoding.cycles=[1]"]).trainer()
    let first = try trainer.step()
    #expect(first.losses[2].name == "distillation")
    #expect(abs(first.losses[2].value) < 1e-6)
    let moved = try fixture("plain", Self.direct).trainer()
    let divergences = try (0..<10).map { _ in try moved.step().losses[2].value }
    #expect(divergences[9] < divergences[0])
  }

  /// The frozen weights keep the dtype of their mapped file.
  @Test("frozen weights keep their dtype") func frozenWeights_dtype() throws {
    let fixture = try fixture("plain")
    let folder = URL(filePath: fixture.folder("half"), directoryHint: .isDirectory)
    let source = ModelFolder(URL(filePath: try #require(fixture.recipe.from)))
    let tensors = try source.readTensors().map { (name: $0.key, tensor: $0.value) }
    try ModelFolder(folder).write(configuration: source.configurationData(), tensors: tensors, dtype: .bfloat16)
    let half = try TrainerFixture(in: fixture.folder, "plain", ["from=\(folder.path)"] + Self.lora)
    let trainer = try half.trainer()
    for (name, tensor) in trainer.model.weights.tensors {
      #expect(tensor.dtype == .bfloat16, "\(name)")
    }
    let whole = try fixture.trainer()
    for _ in 0..<3 {
      let (one, other) = try (trainer.step().losses[0].value, whole.step().losses[0].value)
      #expect(abs(one - other) < 0.02 * other)
    }
  }

  @Test("invalid settings are rejected") func recipe_invalid() throws {
    func error(_ changes: String...) -> String {
      message {
        _ = try Recipe(
          yaml: RecipeTests.text("plain"), name: "r", changes: ["from=here"] + Self.lora + changes, vocabularySize: 257)
      }
    }
    #expect(error() == "no error")
    #expect(error("from=null") == "r: lora is given: expected a key 'from', the model to adapt")
    for rank in [0, -1, 17] {
      #expect(
        error("lora.rank=\(rank)") == "r: lora.rank is \(rank): expected 1 to model.hidden_size, which is 16")
    }
    #expect(error("lora.alpha=0") == "r: lora.alpha is 0.0: expected a number from 1.2e-38 to 3.4e+38")
    #expect(error("lora.targets=[]") == "r: lora.targets is empty: expected at least one of attention, feed_forward")
    #expect(error("lora.targets=[heads]") == "r: lora.targets[0] is 'heads': expected one of attention, feed_forward")
    #expect(
      error("lora.ranks=3") == "--set lora.ranks=3: there is no key 'lora.ranks'; the nearest is 'lora.rank'")
    #expect(error("lora.alpha=null") == "r: lora.alpha is missing")
  }

  @Test("a missing or changed model is rejected") func model_changed() throws {
    let fixture = try fixture("plain")
    try fixture.run("run", shouldStop: { $0 == 2 })
    let from = try #require(fixture.recipe.from)
    // A run cannot start from adapters.
    let checkpoint = fixture.folder("run/checkpoints/step-00000002")
    let again = try TrainerFixture(in: fixture.folder, "plain", ["from=\(checkpoint)"])
    #expect(
      message { _ = try again.trainer() }
        == "\(checkpoint): holds adapters for \(from): expected a whole model, which `wideband convert` makes")
    let file = "\(from)/model.safetensors"
    let content = try Data(contentsOf: URL(filePath: file))
    var changed = content
    changed[changed.count - 1] ^= 1
    try changed.write(to: URL(filePath: file))
    #expect(
      message { try fixture.run("run") }
        == "\(checkpoint): the adapters are for other weights than those in \(from), which have changed since")
    try FileManager.default.removeItem(atPath: from)
    #expect(message { try fixture.run("run") } == "\(from): there is no such model folder")
    #expect(try fixture.folder.names("run/checkpoints") == ["step-00000002"])
  }
}
