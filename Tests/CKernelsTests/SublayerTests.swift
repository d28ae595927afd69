import TestSupport
import Testing
import WidebandCKernels
import WidebandTorch

/// The caches that the sublayers of decoding write, and the experts that they choose.
@Suite struct SublayerTests {
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

  /// A cache for eight positions of a sequence, of which `count` from `start` on are new.
  private func cache(_ dtype: DType, from start: Int = 0, _ count: Int, headSize: Int = 6) throws -> KVCacheView {
    try withTorch {
      let numbers = (0..<2).map { _ in (random.normal(1, 2, 8, headSize) * 30).rounded().to(dtype) }
      return KVCacheView(
        keys: numbers[0], values: numbers[1],
        scales: dtype == .int8 ? (.ones([1, 2, 8]), .ones([1, 2, 8])) : nil, start: start, count: count)
    }
  }

  @Test func allVectorCodesAttendAlike() async {
    await #expect(processExitsWith: .success) {
      let tests = try SublayerTests()
      for headSize in [2, 6, 8, 20, 24, 34] {
        for dtype in [DType.float32, .bfloat16, .int8] {
          #expect(try tests.largestDisagreement(headSize, dtype) < 1e-4, "\(headSize) channels in \(dtype)")
        }
      }
    }
  }

  /// Of the vector codes that this processor has, the largest relative error between one and the portable one.
  private func largestDisagreement(_ headSize: Int, _ dtype: DType) throws -> Double {
    let (weights, cache) = (attention(headSize: headSize), try cache(dtype, from: 6, 2, headSize: headSize))
    let x = random.normal(1, 2, 20)
    let rotary = (cos: random.normal(1, 2, 1, headSize), sin: random.normal(1, 2, 1, headSize))
    let codes: [String] = ["portable", "avx2", "avx512"]
    let found = try codes.compactMap { code -> Tensor? in
      guard ck_use_vector_code(code) else { return nil }
      let step: Tensor = try #require(
        x.attentionSublayer(weights, rotary: rotary, addsInput: false) { KVCacheViews([cache]) })
      return step
    }
    return try found.map { try relativeError(of: $0, to: found[0]) }.max() ?? 0
  }

  @Test func storedNumbersAreTheNearest() throws {
    let weights = attention()
    let (x, rotary) = (random.normal(1, 3, 20), (cos: random.normal(1, 3, 1, 6), sin: random.normal(1, 3, 1, 6)))
    func stored(_ dtype: DType) throws -> [Tensor] {
      let cache = try cache(dtype, 3)
      _ = try #require(x.attentionSublayer(weights, rotary: rotary, addsInput: false) { KVCacheViews([cache]) })
      return try withTorch { [cache.keys, cache.values].map { $0.slice(2, 0..<3).contiguous() } }
    }
    let exact = try stored(.float32)
    for (half, whole) in zip(try stored(.bfloat16), exact) {
      #expect(try areIdentical(half, withTorch { whole.to(.bfloat16) }))
    }
    for (number, whole) in zip(try stored(.int8), exact) {
      let nearest = try withTorch {
        (whole * (Tensor([Float(127)]) / whole.abs().max(-1, keep: true))).rounded().to(.int8)
      }
      #expect(try areIdentical(number, nearest))
    }
  }

  @Test(arguments: [DType.float32, .bfloat16]) func sequencesAreConcatenated(dtype: DType) throws {
    let weights = attention()
    let (x, cosine, sine) = (random.normal(1, 4, 20), random.normal(1, 4, 1, 6), random.normal(1, 4, 1, 6))
    let caches = try [(2, 1), (5, 2), (0, 1)].map { try cache(dtype, from: $0, $1) }
    let together = try #require(
      x.attentionSublayer(weights, rotary: (cosine, sine), addsInput: true) { KVCacheViews(caches) })
    for (index, rows) in [0..<1, 1..<3, 3..<4].enumerated() {
      let (own, rotary) = try withTorch {
        (
          x.slice(1, rows).contiguous(),
          (cos: cosine.slice(1, rows).contiguous(), sin: sine.slice(1, rows).contiguous())
        )
      }
      let alone = try #require(
        own.attentionSublayer(weights, rotary: rotary, addsInput: true) { KVCacheViews([caches[index]]) })
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
      return try #require(x.feedForwardSublayer(weights, addsInput: false))
    }
    let chosen = try step((router: .zeros([5, 20]), perToken: 1, isRenormalized: true), 5)
    #expect(try relativeError(of: chosen, to: step(nil, 1)) < 1e-6)
  }
}
