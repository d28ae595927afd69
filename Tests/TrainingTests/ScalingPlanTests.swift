import Testing
import WidebandLanguageModel

@testable import WidebandTraining

/// Plans compared with numbers computed by hand.
@Suite struct ScalingPlanTests {
  /// A dense model of 1.52e9 weights without the products of attention, in batches of 16,384 tokens.
  private func plan(
    nodes: Int, ranksPerNode: Int = 1, gigabits: Double = 100, batchesPerRank: Int = 4, tokens: Double = 16_384
  ) throws -> ScalingPlan {
    let P = 1.52e9
    let work = ScalingPlan.Work(
      parameters: P, forwardOperations: 2 * P, stepOperations: 6 * P, activationElements: 0, tokensPerBatch: tokens,
      batches: batchesPerRank * nodes * ranksPerNode)
    let cluster = Cluster(
      .cuda, nodes: nodes, ranksPerNode: ranksPerNode, lineRate: gigabits * 1e9 / 8, peakOperations: 989e12,
      utilization: 0.4)
    return try #require(ScalingPlan(work, on: cluster))
  }

  private func isNear(_ value: Double, _ expected: Double, _ tolerance: Double = 5e-4) -> Bool {
    abs(value - expected) <= tolerance * abs(expected)
  }

  @Test("time of arithmetic and of an exchange on many machines") func times() throws {
    let plan = try plan(nodes: 64)
    // 6 · 1.52e9 · 65,536 / (0.4 · 989e12), and 63/64 · 3.04e9 bytes / 10e9 bytes/s.
    #expect(isNear(plan.computeSeconds, 1.5108))
    #expect(isNear(plan.gradientSeconds, 0.29925) && isNear(plan.weightSeconds, 0.29925))
    #expect(plan.batchesPerRank == 4)
  }

  @Test(
    "efficiency, one GPU a machine",
    arguments: [
      (2, 100.0, 4, 0.909), (4, 100, 4, 0.869), (8, 100, 4, 0.844), (16, 100, 4, 0.826), (2, 400, 4, 0.975),
      (64, 400, 4, 0.953), (8, 100, 16, 0.956), (64, 100, 16, 0.946),
    ])
  func efficiency(nodes: Int, gigabits: Double, batches: Int, expected: Double) throws {
    let plan = try plan(nodes: nodes, gigabits: gigabits, batchesPerRank: batches)
    #expect(abs(plan.efficiency - expected) < 1e-3)
  }

  @Test("few tokens a GPU: 29 % at 100 Gb/s, 72 % at 400") func strongScaling() throws {
    for (gigabits, efficiency) in [(100.0, 0.286), (400, 0.716)] {
      let plan = try plan(nodes: 64, gigabits: gigabits, batchesPerRank: 1, tokens: 8192)
      #expect(abs(plan.efficiency - efficiency) < 1e-3)
    }
  }

  @Test("a ring over all GPUs carries (W-1)/W of the bytes through each machine's network; one machine has none")
  func ranksOfAMachine() throws {
    #expect(isNear(try plan(nodes: 2, ranksPerNode: 8).gradientSeconds, 15.0 / 16 * 0.304))
    let alone = try plan(nodes: 1, ranksPerNode: 8)
    #expect(alone.exposedSeconds == 0 && alone.efficiency == 1)
  }

  @Test("processes on processors: all-to-all of each, one ring, float32") func processors() throws {
    let work = ScalingPlan.Work(
      parameters: 1e6, forwardOperations: 2e6, stepOperations: 6e6, activationElements: 100, tokensPerBatch: 1000,
      batches: 8)
    let cluster = Cluster(
      .cpu, nodes: 4, ranksPerNode: 2, lineRate: 125e6, lineEfficiency: 0.8, peakOperations: 50e9, utilization: 0.5)
    let plan = try #require(ScalingPlan(work, on: cluster))
    // 4 MB at 100 MB/s: each of 2 processes sends 3/4 of it to other machines; the ring sends 7/8. A process sends and
    // receives 7/8, at 325 MB/s.
    let own = 3.5e6 / 325e6
    #expect(isNear(plan.gradientSeconds, 0.06 + own) && isNear(plan.weightSeconds, 0.035 + own))
    #expect(isNear(plan.computeSeconds, 0.24) && isNear(plan.tokensPerSecond, 8000 / (0.275 + 2 * own)))
    // The backward pass of the only batch takes 0.16 s.
    #expect(isNear(plan.exposedSeconds, own + plan.weightSeconds))
    // 62 pieces of 16,384 weights, 8 for each of 8 ranks.
    let memory = Dictionary(uniqueKeysWithValues: plan.memory.map { ($0.name, $0.bytes) })
    #expect(
      memory == [
        "weights": 4e6, "gradients": 4e6, "moments, a shard": 1_048_576, "sums, a shard": 524_288, "exchange": 8e6,
        "activations": 0.4e6,
      ])
  }

  @Test("memory of a rank on GPUs, in bytes a weight") func memoryOfGPUs() throws {
    let plan = try plan(nodes: 8, ranksPerNode: 8)
    // bfloat16 weights and gradients, the exchange, and 16 bytes of float32 in 64 shards of 1,450 pieces.
    #expect(isNear(plan.memoryBytes, 1.52e9 * (4 + 4) + 16 * 1450 * 16_384, 1e-9))
    let alone = try self.plan(nodes: 1)
    #expect(isNear(alone.memoryBytes, 1.52e9 * 16, 1e-9))
  }

  @Test("batches that cannot be divided among the ranks have no plan") func indivisible() throws {
    let work = try plan(nodes: 2).work
    let cluster = Cluster(.cpu, nodes: 3, ranksPerNode: 1, lineRate: 1, peakOperations: 1, utilization: 1)
    #expect(ScalingPlan(work, on: cluster) == nil)
  }

  @Test("a recipe's weights, operations and batches are those of ModelCost") func recipe() throws {
    let changes = [
      "model={hidden_size: 2048, num_hidden_layers: 24, num_attention_heads: 16, num_key_value_heads: 8, "
        + "intermediate_size: 6144, max_position_embeddings: 4096, tie_word_embeddings: true, vocab_size: 151936}",
      "training={steps: 10, seed: 1, sequence_length: 4096, tokens_per_step: 1048576, rows_per_batch: 4}",
      "validation.tokens=4096", "schedule.warmup_steps=0",
    ]
    let recipe = try Recipe(yaml: RecipeTests.text(), name: "large", changes: changes)
    let work = ScalingPlan.Work(recipe)
    #expect(work.parameters == 1_519_230_976)
    #expect(work.batches == 64 && work.tokensPerBatch == 16_384)
    // 6 P, and 3 · 4 · 2048 · 2048 · 24 for the products of attention at 4,096 tokens; norms and residuals are small.
    let expected = 6 * 1.519_230_976e9 + 1.207_959_552e9
    #expect(isNear(work.stepOperations, expected, 5e-3))
    let layer = 4.0 * 2048 + 3 * 3072 + 3 * 6144
    #expect(work.activationElements == 25 * layer + 2 * 2048)

    let recomputing = try Recipe(
      yaml: RecipeTests.text(), name: "large", changes: changes + ["training.activation_checkpointing=true"])
    let less = ScalingPlan.Work(recomputing)
    #expect(less.activationElements == 24 * 2048 + 2 * layer + 2 * 2048)
    #expect(less.stepOperations > work.stepOperations && less.stepOperations < 4 * work.forwardOperations)
  }

  @Test("an exchange after every batch is exposed as often as a rank has batches") func exchangesOfEveryBatch() throws {
    func plan(_ exchangesEveryBatch: Bool, batches: Int) throws -> ScalingPlan {
      let work = ScalingPlan.Work(
        parameters: 1e6, forwardOperations: 2e6, stepOperations: 6e6, activationElements: 1, tokensPerBatch: 1000,
        batches: batches, exchangesEveryBatch: exchangesEveryBatch)
      let cluster = Cluster(
        .cpu, nodes: 2, ranksPerNode: 1, lineRate: 1e6, lineEfficiency: nil, peakOperations: 1e12, utilization: 0.5)
      return try #require(ScalingPlan(work, on: cluster))
    }
    let (once, every) = (try plan(false, batches: 8), try plan(true, batches: 8))
    #expect(every.gradientSeconds == 4 * once.gradientSeconds)
    let exchange = once.exposedSeconds - once.weightSeconds
    #expect(abs(every.exposedSeconds - every.weightSeconds - 4 * exchange) < 1e-9 * exchange)
    #expect(try plan(true, batches: 2).exposedSeconds == plan(false, batches: 2).exposedSeconds)
  }

  @Test("a wide state and experts count in the activations") func activations() {
    func elements(_ change: (inout ModelConfiguration) -> Void) -> Double {
      var model = ModelConfiguration(
        vocabularySize: 100, hiddenSize: 64, layerCount: 2, headCount: 4, intermediateSize: 128)
      change(&model)
      return ScalingPlan.Work.activationElements(model, recomputesLayers: false)
    }
    // A layer keeps 4 · 64 elements of states and norms, 3 · 128 of heads (4 queries and 4 keys of 16 channels) and
    // 3 · 128 of the feed-forward sublayer; two layers, another one, and 2 · 64.
    #expect(elements { _ in } == 3200)
    // Two sublayers with 256 of state and 3 · 64 each, and 256 + 64.
    #expect(elements { $0.virtualWidth = .init(fractionRate: 4, slots: 16) } == 5312)
    // 3 · 2 · 32 of experts.
    #expect(elements { $0.experts = .init(count: 8, perToken: 2, intermediateSize: 32) } == 2624)
  }
}
