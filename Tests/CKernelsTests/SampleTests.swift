import Foundation
import Testing
import WidebandCKernels

/// Tokens sampled in a kernel, on every vector code, against a simple implementation in float64.
@Suite struct SampleTests {
  @Test(arguments: ["avx512", "avx2", "portable"]) func tokensAreThoseOfThePlainDraw(code: String) async {
    await #expect(processExitsWith: .success) { [code] in
      guard ck_use_vector_code(code) else { return }
      var random = Numbers(seed: 5)
      for width in [1, 2, 3, 15, 16, 17, 63, 64, 65, 511, 512, 513, 1_300, 4_097] {
        for settings in everySettings {
          for spread in [Float(0.01), 2, 30] {
            let row = (0..<width).map { _ in (random.next() + random.next() - 1) * spread }
            let seen = (0..<width).map { _ in random.next() < 0.3 }
            for number in [0, Double(random.next()), Double(random.next()), 1 - 0x1p-53] {
              let index = sample([row], by: [number], seen: seen, settings)[0]
              let expected = expectedIndices(row, by: number, seen: seen, settings)
              #expect(expected.contains(index), "\(index) of \(width), \(spread), by \(number): \(settings)")
            }
          }
        }
      }
    }
  }

  @Test func ofManyThatAreEqualAllStay() {
    // Each of the two largest has 2/6 of the probability, each of the others 1/6 / 100.
    let row = (0..<102).map { $0 == 40 || $0 == 70 ? Float(log(200.0)) : 0 }
    for settings in [settings(topK: 1), settings(topP: 0.3), settings(minP: 0.5)] {
      #expect(sample([row], by: [0], settings) == [40])
      #expect(sample([row], by: [0.49], settings) == [40])
      #expect(sample([row], by: [0.51], settings) == [70])
      #expect(sample([row], by: [1 - 0x1p-53], settings) == [70])
    }
    #expect(sample([[Float](repeating: 3, count: 1_000)], by: [0.7505], settings(topK: 5, topP: 0.1)) == [750])
  }

  @Test func extremesOfLogitsAndSettingsLeaveAChoice() {
    let far: [Float] = [-3e38, 3e38, -3e38, 2.9e38]
    for temperature in [1e-300, 1e-40, 1, 1e300] {
      #expect(sample([far], by: [0.3], settings(temperature: temperature)) == [1])
    }
    #expect(sample([[1, 2]], by: [0.999], seen: [false, true], settings(penalty: 1e300)) == [1])
    #expect(sample([[-1, 5]], by: [0.001], seen: [false, true], settings(penalty: 1e300)) == [0])
    #expect(sample([[-1, -2]], by: [0], seen: [true, false], settings(penalty: 1e300)) == [1])
    #expect(sample([[-1, -2]], by: [0], seen: [true, true], settings(penalty: 1e300)) == [0])
    for broken in [Float.nan, .infinity, -.infinity] {
      #expect(sample([[0, 1, 2], [0, broken, 2], [3, 4, 5]], by: [0, 0, 0], settings()) == [0, -1, 0])
    }
  }

  @Test func rowsDoNotDependOnTheThreads() {
    var random = Numbers(seed: 9)
    let rows = (0..<5).map { _ in (0..<70_000).map { _ in random.next() * 9 } }
    let numbers = rows.map { _ in Double(random.next()) }
    let settings = settings(topK: 300, topP: 0.9)
    let alone = zip(rows, numbers).map { sample([$0], by: [$1], settings)[0] }
    for threads in Int32(1)...3 { #expect(sample(rows, by: numbers, settings, threads: threads) == alone) }
  }

  @Test func whatMeansNothingIsRefused() {
    let possible = settings()
    #expect(sample([1], rows: 0, width: 1, by: [0], possible) == [])
    #expect(sample([1], rows: 1, width: 0, by: [0], possible) == nil)
    #expect(sample([1], rows: -1, width: 1, by: [0], possible) == nil)
    for impossible in [
      settings(temperature: 0), settings(topK: -1), settings(topP: 0), settings(minP: 2), settings(penalty: 0),
      settings(temperature: .nan), settings(topP: .nan), settings(minP: .nan), settings(penalty: .nan),
    ] {
      #expect(sample([1], rows: 1, width: 1, by: [0], impossible) == nil)
    }
  }
}

private func settings(
  temperature: Double = 1, topK: Int64 = 0, topP: Double = 1, minP: Double = 0, penalty: Double = 1
) -> ck_sampling_settings {
  ck_sampling_settings(temperature: temperature, top_k: topK, top_p: topP, min_p: minP, repetition_penalty: penalty)
}

private let everySettings = [
  settings(), settings(temperature: 0.3), settings(temperature: 5), settings(topK: 1), settings(topK: 7),
  settings(topK: 200), settings(topK: 100_000), settings(topP: 0.5), settings(topP: 0.95), settings(topP: 1e-9),
  settings(topP: 0.999999), settings(minP: 0.1), settings(minP: 0.999),
  settings(temperature: 0.7, topK: 40, topP: 0.9, minP: 0.03, penalty: 1.4),
  settings(temperature: 1.5, topK: 300, topP: 0.99, penalty: 0.8),
]

private func sample(
  _ rows: [[Float]], by numbers: [Double], seen: [Bool]? = nil, _ settings: ck_sampling_settings, threads: Int32 = 1
) -> [Int] {
  sample(
    rows.flatMap(\.self), rows: rows.count, width: rows[0].count, by: numbers, seen: seen, settings, threads: threads)
    ?? []
}

/// Nil where the arguments are refused, with nothing written.
private func sample(
  _ x: [Float], rows: Int, width: Int, by numbers: [Double], seen: [Bool]? = nil, _ settings: ck_sampling_settings,
  threads: Int32 = 1
) -> [Int]? {
  var indices = [Int64](repeating: -2, count: max(rows, 1))
  let known = seen ?? []
  let isDone = x.withUnsafeBufferPointer { x in
    numbers.withUnsafeBufferPointer { numbers in
      known.withUnsafeBufferPointer { known in
        withUnsafePointer(to: settings) { settings in
          indices.withUnsafeMutableBufferPointer { indices in
            var args = ck_sample_args(
              rows: Int64(rows), width: Int64(width), x: x.baseAddress, uniform: numbers.baseAddress,
              seen: seen == nil ? nil : known.baseAddress, settings: settings, indices: indices.baseAddress)
            return ck_sample(&args, threads)
          }
        }
      }
    }
  }
  #expect(isDone && rows > 0 || indices[0] == -2)
  return isDone ? indices.prefix(rows).map(Int.init) : nil
}

/// The tokens that may be sampled: one, or two where sums in float32 are inexact.
private func expectedIndices(_ row: [Float], by number: Double, seen: [Bool], _ settings: ck_sampling_settings) -> [Int]
{
  let penalty = settings.repetition_penalty
  let logits = zip(row, seen).map { logit, seen in
    let logit = Double(logit)
    return !seen ? logit : logit < 0 ? logit * penalty : logit / penalty
  }
  let sorted = logits.sorted(by: >)
  let k = settings.top_k == 0 ? logits.count : min(Int(settings.top_k), logits.count)
  var weights = logits.map { $0 < sorted[k - 1] ? 0 : exp(($0 - sorted[0]) / settings.temperature) }
  var (before, least) = (0.0, 1.0)
  let share = settings.top_p * weights.reduce(0, +)
  for weight in weights.sorted(by: >) where settings.top_p == 1 || before < share {
    least = weight
    before += weight
  }
  least = max(least, settings.min_p)
  weights = weights.map { $0 < least ? 0 : $0 }
  let total = weights.reduce(0, +), slack = 1e-6 * total
  var (running, indices) = (0.0, [Int]())
  for (index, weight) in weights.enumerated() where weight > 0 {
    if running <= number * total + slack, running + weight > number * total - slack { indices.append(index) }
    running += weight
  }
  return indices
}

/// Evenly from 0 below 1, in steps of 2^-24.
private struct Numbers {
  var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> Float {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Float(state >> 40) / Float(1 << 24)
  }
}
