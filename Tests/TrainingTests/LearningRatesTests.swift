import OrderedCollections
import TestSupport
import Testing
import WidebandLanguageModel
import WidebandTorch
import WidebandVirtualWidth

@testable import WidebandTraining

struct LearningRatesTests {
  private func settings(_ rates: Recipe.ConnectionRates, embedding: Double = 1, memory: Double = 1)
    -> Recipe.Optimizer
  {
    Recipe.Optimizer(
      learningRate: 0.01, embeddingRate: embedding, memoryRate: memory, connectionRates: rates, beta1: 0.9,
      beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1, clip: 1)
  }

  private func weights() throws -> OrderedDictionary<String, Tensor> {
    let configuration = ModelConfiguration.small {
      $0.layerCount = 1
      $0.virtualWidth = VirtualWidth(fractionRate: 2, slots: 4)
      $0.ngramMemory = .init(orders: [2], rows: 7)
    }
    return try LanguageModel(configuration, weights: WeightStore(seed: 1)).weights.tensors
  }

  /// The weights after two steps with gradients that differ from element to element.
  private func trained(
    _ settings: Recipe.Optimizer, shard: Shard? = nil, kernels: Kernels = .fused
  ) throws -> OrderedDictionary<String, [Float]> {
    let weights = try weights()
    try Kernels.$selected.withValue(kernels) {
      try withTorch {
        weights.values.forEach { $0.requiringGradient() }
        let optimizer = try AdamW(weights, settings, step: 0, shard: shard)
        for step in 1...2 {
          let slopes = weights.mapValues { Tensor.range(0..<$0.count).to(.float32).sin() + Double(step) }
          if let range = shard?.ranges.first {
            let all = Tensor.zeros([optimizer.layout.count])
            for (name, place) in optimizer.layout.places { all.slice(0, place).copy(from: slopes[name] ?? all) }
            withoutGradients { optimizer.step(learningRate: 0.01, divisor: 1, gradient: all.slice(0, range)) }
          } else {
            for (name, weight) in weights { (weight.flattened() * (slopes[name] ?? weight)).sum().backward() }
            optimizer.step(learningRate: 0.01, divisor: 1)
          }
        }
      }
    }
    return try withTorch { try weights.mapValues { try $0.elements(Float.self) } }
  }

  private let scope = "model.layers.0.mlp_connection."

  @Test(
    "a rate of 0 leaves its coefficients as they were, and the others as with equal rates", arguments: Kernels.allCases)
  func frozenCoefficients(_ kernels: Kernels) throws {
    let before = try withTorch { try weights().mapValues { try $0.elements(Float.self) } }
    let equal = try trained(settings(.init(all: 0.5)), kernels: kernels)
    let frozen = try trained(settings(.init(read: 0.5, write: 0.5, carry: 0)), kernels: kernels)
    // Rows of [A° | Â]: 2 columns of read and 4 of carry.
    for name in ["static_alpha", "alpha_scale"].map({ scope + $0 }) {
      let (start, equal, frozen) = (before[name] ?? [], equal[name] ?? [], frozen[name] ?? [])
      for place in start.indices {
        if place % 6 < 2 {
          #expect(abs(frozen[place] - equal[place]) < 1e-6 && frozen[place] != start[place])
        } else {
          #expect(frozen[place] == start[place] && equal[place] != start[place])
        }
      }
    }
    let map = scope + "dynamic_alpha"
    let channels = (before[map]?.count ?? 0) / 6
    #expect(frozen[map]?.dropFirst(2 * channels).allSatisfy { $0 == 0 } == true)
    #expect(frozen[map]?.prefix(2 * channels).allSatisfy { $0 != 0 } == true)
    for name in equal.keys where !name.contains("_connection.") { #expect(frozen[name] == equal[name], "\(name)") }
    for part in ["static_beta", "dynamic_beta", "beta_scale", "norm.weight"] {
      #expect(frozen[scope + part] == equal[scope + part])
    }
  }

  @Test func writeTableAndMemoryHaveRatesOfTheirOwn() throws {
    let start = try withTorch { try weights().mapValues { try $0.elements(Float.self) } }
    let rates = Recipe.ConnectionRates(read: 1, write: 0, carry: 1)
    let found = try trained(settings(rates, embedding: 0, memory: 0))
    let frozen = Set(found.keys.filter { found[$0] == start[$0] })
    let writes = ["attention_connection.", "mlp_connection."].flatMap { connection in
      ["static_beta", "dynamic_beta", "beta_scale"].map { "model.layers.0.\(connection)\($0)" }
    }
    #expect(frozen == Set(writes + ["model.embed_tokens.weight", "model.ngram_memory.2.weight"]))
    #expect(ParameterGroups.isDecayed("model.ngram_memory.2.weight", rank: 2) == false)
  }

  @Test func aShardThatCutsAWeightUpdatesItsPart() throws {
    let settings = settings(.init(read: 2, write: 1, carry: 0.25))
    let (whole, start) = (
      try trained(settings), try withTorch { try weights().mapValues { try $0.elements(Float.self) } }
    )
    let layout = FlatLayout(try weights())
    let place = try #require(layout.places[scope + "static_alpha"])
    let cut = place.lowerBound + 9
    let first = try trained(settings, shard: Shard(ranges: [0..<cut]))
    let second = try trained(settings, shard: Shard(ranges: [cut..<layout.count]))
    let name = scope + "static_alpha"
    #expect(first[name]?.prefix(9) == whole[name]?.prefix(9))
    #expect(first[name]?.dropFirst(9) == start[name]?.dropFirst(9))
    #expect(second[name]?.dropFirst(9) == whole[name]?.dropFirst(9))
  }
}
