import OrderedCollections
import TestSupport
import Testing
import WidebandDistributed
import WidebandTorch

@testable import WidebandTraining

/// The exchange of gradients bucket by bucket, with buckets that are smaller than the weights.
@Suite("Exchange of gradients")
struct GradientExchangeTests {
  private static let piece = ShardLayout.piece

  /// Three weights over several buckets: the second one is larger than a bucket, the others share one with it.
  private struct Model {
    let weights: OrderedDictionary<String, Tensor>
    let exchange: GradientExchange
    let optimizer: AdamW

    init(_ group: ProcessGroup?, bucketSize: Int) throws {
      let random = try RandomTensors(seed: 5)
      var weights: OrderedDictionary<String, Tensor> = [:]
      for (name, rows) in [("first", 70), ("second", 500), ("third", 131)] {
        weights[name] = random.normal(rows, 200).requiringGradient()
      }
      self.weights = weights
      exchange = try GradientExchange(
        weights.map { (name: $0, tensor: $1) }, FlatLayout(weights), group, bucketSize: bucketSize)
      let settings = Recipe.Optimizer(
        learningRate: 0.01, connectionRates: .init(all: 1), beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1,
        clip: 1)
      optimizer = try AdamW(weights, settings, step: 0, shard: exchange.shard)
    }

    /// The backward pass of batch `index`: the gradient of the last weight is there first.
    func backward(_ index: Int) throws {
      let x = try RandomTensors(seed: UInt64(index + 10)).normal(3, 200)
      try withTorch {
        var hidden = x
        for (_, weight) in weights { hidden = hidden.linear(weight).silu().matmul(weight) }
        (hidden * hidden).mean().backward()
      }
    }

    /// A step of four batches, exchanged after each. Returns the norm.
    func step(_ group: ProcessGroup?) throws -> Double {
      for index in stride(from: group?.rank ?? 0, to: 4, by: group?.size ?? 1) {
        try exchange.add { try backward(index) }
      }
      let norm = try exchange.norm()
      try withTorch { optimizer.step(learningRate: 0.01, divisor: max(1, norm), gradient: exchange.sum) }
      try exchange.gather()
      exchange.begin()
      return norm
    }

    func values() throws -> [[Float]] { try weights.values.map { try $0.elements(Float.self) } }
  }

  @Test("any number of processes and any size of buckets give the same bits", arguments: [1, 3, 1000])
  func buckets_giveTheSameBits(pieces: Int) throws {
    let alone = try Model(nil, bucketSize: ShardLayout.bucketSize)
    let norms = try (0..<3).map { _ in try alone.step(nil) }
    nonisolated(unsafe) let expected = try alone.values()
    for count in [2, 4] {
      try ProcessGroup.threads(count) { group in
        let model = try Model(group, bucketSize: pieces * Self.piece)
        #expect(try (0..<3).map { _ in try model.step(group) } == norms, "\(count) processes")
        #expect(try model.values() == expected, "\(count) processes")
      }
    }
  }

  @Test("buckets are sent while the backward pass runs") func buckets_areSentEarly() throws {
    try ProcessGroup.threads(2) { group in
      let model = try Model(group, bucketSize: 2 * Self.piece)
      let count = model.exchange.layout.buckets.count
      #expect(count == 5)
      let last = try #require(model.weights["third"])
      try model.exchange.add {
        try withTorch { (last * last).sum().backward() }
        // The gradients of the first two weights are missing: the buckets of the third one alone are sent.
        #expect(try #require(model.exchange.pass).exchanges.map { $0 != nil } == [false, false, false, false, true])
        for (name, weight) in model.weights where name != "third" {
          try withTorch { weight.sum().backward() }
        }
        #expect(try #require(model.exchange.pass).exchanges.allSatisfy { $0 != nil })
      }
      let norm = try model.exchange.norm()
      #expect(norm > 0)
    }
  }

  @Test("a gradient that changes after it was sent is an error") func gradient_twice_isRefused() throws {
    let model = try Model(nil, bucketSize: Self.piece)
    let text = message {
      try model.exchange.add {
        try model.backward(0)
        try model.backward(0)
      }
    }
    #expect(text == "the gradient of third has changed after it was sent")
  }

  @Test("processes have equal parts of each bucket, of whole pieces", arguments: [1, 2, 3, 8])
  func shards_coverTheArray(processes: Int) {
    for count in [1, Self.piece, 10 * Self.piece + 1, 1_000_000] {
      let layout = ShardLayout(count: count, processes: processes, bucketSize: 5 * Self.piece)
      let shards = (0..<processes).map { layout.shard(of: $0) }
      #expect(Set(shards.map(\.count)) == [layout.paddedCount / processes])
      let ranges = shards.flatMap(\.ranges).sorted { $0.lowerBound < $1.lowerBound }
      #expect(ranges.first?.lowerBound == 0 && ranges.last?.upperBound == layout.paddedCount)
      #expect(zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
      #expect(layout.paddedCount >= count && layout.paddedCount < count + processes * Self.piece)
      #expect(ranges.allSatisfy { $0.count.isMultiple(of: Self.piece) })
    }
  }

  @Test("values of pieces get the order of the array") func pieces_areOrdered() {
    let layout = ShardLayout(count: 11 * Self.piece, processes: 2, bucketSize: 4 * Self.piece)
    let values = (0..<2).map { rank in
      layout.shard(of: rank).ranges.flatMap { range in
        stride(from: range.lowerBound, to: range.upperBound, by: Self.piece).map { Double($0 / Self.piece) }
      }
    }
    #expect(layout.inOrder(values) == (0..<12).map(Double.init))
  }

  @Test("a weight's pieces follow one another in the shard") func pieces_areAdjacent() {
    let shard = ShardLayout(count: 8 * Self.piece, processes: 2, bucketSize: 4 * Self.piece).shard(of: 1)
    let pieces = shard.pieces(in: (3 * Self.piece)..<(7 * Self.piece + 5))
    #expect(
      pieces == [
        .init(ofArray: (3 * Self.piece)..<(4 * Self.piece), ofShard: Self.piece..<(2 * Self.piece)),
        .init(ofArray: (6 * Self.piece)..<(7 * Self.piece + 5), ofShard: (2 * Self.piece)..<(3 * Self.piece + 5)),
      ])
  }
}
