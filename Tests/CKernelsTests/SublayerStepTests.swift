import TestSupport
import Testing
import Torch

/// What the sublayers of decoding keep and choose, number by number.
@Suite struct SublayerStepTests {
  private let random: RandomTensors

  init() throws { random = try RandomTensors(seed: 6) }

  /// Four queries' heads of six channels, two keys', D = 20.
  private func attention() -> AttentionWeights {
    AttentionWeights(
      norm: random.normal(20), headNorms: (random.normal(6), random.normal(6)),
      query: WeightMatrix(random.normal(24, 20)), key: WeightMatrix(random.normal(12, 20)),
      value: WeightMatrix(random.normal(12, 20)), output: WeightMatrix(random.normal(20, 24)), headSize: 6,
      epsilon: 1e-6)
  }

  /// Room for eight positions of a text, of which `count` from `start` on are new.
  private func text(_ dtype: DType, from start: Int = 0, _ count: Int) throws -> KeptText {
    try withTorch {
      KeptText(
        keys: random.normal(1, 2, 8, 6).to(dtype), values: random.normal(1, 2, 8, 6).to(dtype),
        scales: dtype == .int8 ? (.zeros([1, 2, 8]), .zeros([1, 2, 8])) : nil, start: start, count: count)
    }
  }

  @Test func keptNumbersAreTheNearest() throws {
    let weights = attention()
    let (x, rotary) = (random.normal(1, 3, 20), (cos: random.normal(1, 3, 1, 6), sin: random.normal(1, 3, 1, 6)))
    func kept(_ dtype: DType) throws -> [Tensor] {
      let text = try text(dtype, 3)
      _ = try #require(x.attentionStep(weights, rotary: rotary, addsInput: false) { [text] })
      return try withTorch { [text.keys, text.values].map { $0.slice(2, 0..<3).contiguous() } }
    }
    let exact = try kept(.float32)
    for (half, whole) in zip(try kept(.bfloat16), exact) {
      #expect(try areIdentical(half, withTorch { whole.to(.bfloat16) }))
    }
    for (number, whole) in zip(try kept(.int8), exact) {
      let nearest = try withTorch {
        (whole * (Tensor([Float(127)]) / whole.abs().max(-1, keep: true))).rounded().to(.int8)
      }
      #expect(try areIdentical(number, nearest))
    }
  }

  @Test(arguments: [DType.float32, .bfloat16]) func textsStandSideBySide(dtype: DType) throws {
    let weights = attention()
    let (x, cosine, sine) = (random.normal(1, 4, 20), random.normal(1, 4, 1, 6), random.normal(1, 4, 1, 6))
    let texts = try [(2, 1), (5, 2), (0, 1)].map { try text(dtype, from: $0, $1) }
    let together = try #require(x.attentionStep(weights, rotary: (cosine, sine), addsInput: true) { texts })
    for (index, rows) in [0..<1, 1..<3, 3..<4].enumerated() {
      let (own, turns) = try withTorch {
        (
          x.slice(1, rows).contiguous(),
          (cos: cosine.slice(1, rows).contiguous(), sin: sine.slice(1, rows).contiguous())
        )
      }
      let alone = try #require(own.attentionStep(weights, rotary: turns, addsInput: true) { [texts[index]] })
      #expect(try areIdentical(alone, withTorch { together.slice(1, rows).contiguous() }))
    }
  }

  @Test func ofEquallyProbableExpertsTheFirstAreChosen() throws {
    let networks = (0..<5).map { _ in
      (
        gate: WeightMatrix(random.normal(7, 20)), up: WeightMatrix(random.normal(7, 20)),
        down: WeightMatrix(random.normal(20, 7))
      )
    }
    let (x, norm) = (random.normal(1, 2, 20), random.normal(20))
    func step(_ routing: FeedForwardWeights.Routing?, _ count: Int) throws -> Tensor {
      let weights = FeedForwardWeights(
        norm: norm, epsilon: 1e-6, routing: routing, networks: Array(networks.prefix(count)))
      return try #require(x.feedForwardStep(weights, addsInput: false))
    }
    let chosen = try step((router: .zeros([5, 20]), perToken: 1, isRenormalized: true), 5)
    #expect(try relativeError(of: chosen, to: step(nil, 1)) < 1e-6)
  }
}
