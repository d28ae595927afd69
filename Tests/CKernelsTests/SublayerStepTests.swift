import CKernels
import TestSupport
import Testing
import Torch

/// What the sublayers of decoding keep and choose, number by number.
@Suite struct SublayerStepTests {
  private let random: RandomTensors

  init() throws { random = try RandomTensors(seed: 6) }

  /// Four queries' heads, two keys', D = 20.
  private func attention(headSize: Int = 6) -> AttentionWeights {
    AttentionWeights(
      norm: random.normal(20), headNorms: (random.normal(headSize), random.normal(headSize)),
      query: WeightMatrix(random.normal(4 * headSize, 20)), key: WeightMatrix(random.normal(2 * headSize, 20)),
      value: WeightMatrix(random.normal(2 * headSize, 20)), output: WeightMatrix(random.normal(20, 4 * headSize)),
      headSize: headSize, epsilon: 1e-6)
  }

  /// Room for eight positions of a text, of which `count` from `start` on are new.
  private func text(_ dtype: DType, from start: Int = 0, _ count: Int, headSize: Int = 6) throws -> KeptText {
    try withTorch {
      let numbers = (0..<2).map { _ in (random.normal(1, 2, 8, headSize) * 30).rounded().to(dtype) }
      return KeptText(
        keys: numbers[0], values: numbers[1],
        scales: dtype == .int8 ? (.ones([1, 2, 8]), .ones([1, 2, 8])) : nil, start: start, count: count)
    }
  }

  @Test func allVectorCodesAttendAlike() async {
    await #expect(processExitsWith: .success) {
      let tests = try SublayerStepTests()
      for headSize in [2, 6, 8, 20, 24, 34] {
        for dtype in [DType.float32, .bfloat16, .int8] {
          #expect(try tests.largestDisagreement(headSize, dtype) < 1e-4, "\(headSize) channels in \(dtype)")
        }
      }
    }
  }

  /// Of the vector codes that this processor has, the largest relative error between one and the portable one.
  private func largestDisagreement(_ headSize: Int, _ dtype: DType) throws -> Double {
    let (weights, kept) = (attention(headSize: headSize), try text(dtype, from: 6, 2, headSize: headSize))
    let x = random.normal(1, 2, 20)
    let rotary = (cos: random.normal(1, 2, 1, headSize), sin: random.normal(1, 2, 1, headSize))
    let codes: [String] = ["portable", "avx2", "avx512"]
    let found = try codes.compactMap { code -> Tensor? in
      guard ck_use_vector_code(code) else { return nil }
      let step: Tensor = try #require(x.attentionStep(weights, rotary: rotary, addsInput: false) { KeptTexts([kept]) })
      return step
    }
    return try found.map { try relativeError(of: $0, to: found[0]) }.max() ?? 0
  }

  @Test func keptNumbersAreTheNearest() throws {
    let weights = attention()
    let (x, rotary) = (random.normal(1, 3, 20), (cos: random.normal(1, 3, 1, 6), sin: random.normal(1, 3, 1, 6)))
    func kept(_ dtype: DType) throws -> [Tensor] {
      let text = try text(dtype, 3)
      _ = try #require(x.attentionStep(weights, rotary: rotary, addsInput: false) { KeptTexts([text]) })
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
    let together = try #require(x.attentionStep(weights, rotary: (cosine, sine), addsInput: true) { KeptTexts(texts) })
    for (index, rows) in [0..<1, 1..<3, 3..<4].enumerated() {
      let (own, turns) = try withTorch {
        (
          x.slice(1, rows).contiguous(),
          (cos: cosine.slice(1, rows).contiguous(), sin: sine.slice(1, rows).contiguous())
        )
      }
      let alone = try #require(own.attentionStep(weights, rotary: turns, addsInput: true) { KeptTexts([texts[index]]) })
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
