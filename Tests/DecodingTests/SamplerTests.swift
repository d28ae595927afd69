import Testing
import WidebandCheckedInput
import WidebandTorch

@testable import WidebandDecoding

private func sampler(seed: UInt64 = 1, _ change: (inout SamplingOptions) -> Void) throws -> Sampler {
  var options = SamplingOptions()
  change(&options)
  return try Sampler(options, seed: seed)
}

extension Sampler {
  /// The distribution that is sampled from.
  fileprivate func scores(_ logits: [Float], after tokens: [TokenID]) throws -> [Double] {
    try withTorch {
      try options.scores(Tensor(logits).unsqueezed(0), seen: seen(tokens, of: logits.count)).elements(Double.self)
    }
  }
}

/// The tokens that can be sampled.
private func sampleable(
  _ logits: [Float], after tokens: [TokenID] = [], _ change: (inout SamplingOptions) -> Void
) throws -> [Int] {
  let scores = try sampler(change).scores(logits, after: tokens)
  return scores.indices.filter { scores[$0] > -.infinity }
}

/// Logits whose softmax is 0.4, 0.1, 0.2, 0.05, 0.25.
private let logits: [Float] = [0.4, 0.1, 0.2, 0.05, 0.25].map { Float.log($0) }

extension Float {
  fileprivate static func log(_ x: Double) -> Float {
    Float((try? Tensor([x]).log().item()) ?? .nan)
  }
}

@Test func topKKeepsTheLargestAndTheirEquals() throws {
  #expect(try sampleable(logits) { $0.topK = 1 } == [0])
  #expect(try sampleable(logits) { $0.topK = 3 } == [0, 2, 4])
  #expect(try sampleable(logits) { $0.topK = 9 } == [0, 1, 2, 3, 4])
  #expect(try sampleable([1, 2, 2, 0]) { $0.topK = 1 } == [1, 2])
}

@Test func topPKeepsTheFewestThatReachTheShare() throws {
  #expect(try sampleable(logits) { $0.topP = 0.01 } == [0])
  #expect(try sampleable(logits) { $0.topP = 0.39 } == [0])
  #expect(try sampleable(logits) { $0.topP = 0.41 } == [0, 4])
  #expect(try sampleable(logits) { $0.topP = 0.64 } == [0, 4])
  #expect(try sampleable(logits) { $0.topP = 0.66 } == [0, 2, 4])
  #expect(try sampleable(logits) { $0.topP = 0.94 } == [0, 1, 2, 4])
  #expect(try sampleable(logits) { $0.topP = 1 } == [0, 1, 2, 3, 4])
  // Of equal ones all stay or none. Top-k leaves two that are second, and with both of them the first has 0.576.
  #expect(try sampleable([2, 1, 2, 2]) { $0.topP = 0.5 } == [0, 2, 3])
  for (share, tokens) in [(0.57, [2]), (0.6, [0, 2, 3])] {
    #expect(
      try sampleable([2, 1, 3, 2, 0]) {
        $0.topK = 2; $0.topP = share
      } == tokens)
  }
}

@Test func minPKeepsAShareOfTheLargest() throws {
  #expect(try sampleable(logits) { $0.minP = 0.99 } == [0])
  #expect(try sampleable(logits) { $0.minP = 0.49 } == [0, 2, 4])
  #expect(try sampleable(logits) { $0.minP = 0.51 } == [0, 4])
  #expect(try sampleable(logits) { $0.minP = 0.12 } == [0, 1, 2, 3, 4])
}

@Test func filtersWorkOneAfterTheOther() throws {
  // Of the three that top-k leaves, the shares are 0.4, 0.25, 0.2 of 0.85: the first two have 0.76.
  #expect(
    try sampleable(logits) {
      $0.topK = 3; $0.topP = 0.7
    } == [0, 4])
  #expect(try sampleable(logits) { $0.topP = 0.7 } == [0, 2, 4])
  // Heat makes the distribution flatter before the share is taken.
  #expect(
    try sampleable(logits) {
      $0.temperature = 100; $0.topP = 0.7
    } == [0, 1, 2, 4])
  #expect(
    try sampleable(logits) {
      $0.temperature = 0.1; $0.topP = 0.7
    } == [0])
  #expect(
    try sampleable(logits) {
      $0.temperature = 100; $0.minP = 0.9
    } == [0, 1, 2, 3, 4])
}

@Test func repetitionCostsBothSigns() throws {
  let sampler = try sampler { $0.repetitionPenalty = 2 }
  let scores = try sampler.scores([3, -1, 2, 4], after: [0, 1, 1, 0])
  // 3 becomes 1.5 and -1 becomes -2; the largest, 4, is taken away from all.
  #expect(scores == [-2.5, -6, -2, 0])
  let greedy = try Sampler(
    {
      var o = SamplingOptions.greedy; o.repetitionPenalty = 2; return o
    }(), seed: 0)
  #expect(try greedy.next(Tensor([Float(3), 2]), after: []) == 0)
  #expect(try greedy.next(Tensor([Float(3), 2]), after: [0]) == 1)
}

@Test func greedyTakesTheFirstOfTheLargest() throws {
  let greedy = try Sampler(.greedy, seed: 0)
  #expect(try greedy.next(Tensor([Float(1), 5, 5, 2]), after: []) == 1)
}

@Test(arguments: [1e-9, 1e-300, .leastNonzeroMagnitude])
func tinyTemperaturesAreGreedy(temperature: Double) throws {
  let sampler = try sampler { $0.temperature = temperature }
  #expect(try sampler.next(Tensor([Float(1), 5, 4.5, 2]), after: []) == 1)
}

@Test func samplesFollowTheDistribution() throws {
  let samples = 6000
  let sampler = try sampler(seed: 11) {
    $0.temperature = 0.7; $0.topK = 4
  }
  var counts = [Double](repeating: 0, count: 5)
  for _ in 0..<samples { counts[Int(try sampler.next(Tensor(logits), after: []))] += 1 }
  let heated = try (Tensor([0.4, 0.1, 0.2, 0, 0.25]).power(1 / 0.7)).elements(Double.self)
  let sum = heated.reduce(0, +)
  #expect(counts[3] == 0)
  let chiSquare = [0, 1, 2, 4].reduce(0.0) { total, token in
    let expected = heated[token] / sum * Double(samples)
    return total + (counts[token] - expected) * (counts[token] - expected) / expected
  }
  // Three degrees of freedom exceed 27.9 once in 260,000 times.
  #expect(chiSquare < 27.9)
}

@Test func samplesOfManyTokensFollowTheDistribution() throws {
  // Three parts of a row, the last one short; in each some tokens that can be sampled and many that cannot.
  let count = 1_300, samples = 4_000
  var weights = [Double](repeating: 0, count: count)
  for (place, weight) in [(0, 0.1), (511, 0.2), (512, 0.05), (700, 0.3), (1_024, 0.15), (1_299, 0.2)] {
    weights[place] = weight
  }
  let sampler = try sampler(seed: 3) { _ in }
  var counts = [Double](repeating: 0, count: count)
  for _ in 0..<samples { counts[Int(try sampler.sample(from: Tensor(weights)))] += 1 }
  let chiSquare = weights.indices.filter { weights[$0] > 0 }.reduce(0.0) { total, token in
    let expected = weights[token] * Double(samples)
    return total + (counts[token] - expected) * (counts[token] - expected) / expected
  }
  // Five degrees of freedom exceed 32.3 once in 200,000 times.
  #expect(chiSquare < 32.3)
  #expect(zip(counts, weights).allSatisfy { ($0 > 0) == ($1 > 0) })
}

@Test func numbersAtTheirEndsSampleWhatCanBeSampled() throws {
  func token(_ weights: [Double], _ number: Double) throws -> Int {
    try withTorch {
      Int(
        try SamplingOptions.sample(Tensor(weights).unsqueezed(0), by: Tensor([number], shape: [1, 1])).item())
    }
  }
  let largest = 1 - 0x1p-53
  for count in [3, 600, 1_024, 5_000] {
    // Sums that do not come out even, with nothing at either end.
    var weights = (0..<count).map { 1 / Double($0 + 3) }
    weights[0] = 0
    weights[count - 1] = 0
    #expect(try token(weights, 0) == 1)
    #expect(try token(weights, largest) == count - 2)
  }
  let generator = try Generator(seed: 1)
  for _ in 0..<200 {
    // Sums in another order differ in their last bits.
    let weights = try withTorch { try Tensor.uniform([1_299], .float64, from: generator).elements(Double.self) }
    #expect(try token([0] + weights + [0], largest) == 1_299)
  }
  #expect(try token([0.5, 0.5], 0.49) == 0)
  #expect(try token([0.5, 0.5], 0.5) == 1)
}

@Test func rowsAreChosenEachAsIfAlone() throws {
  var options = SamplingOptions()
  options.temperature = 0.8
  options.topK = 50
  options.topP = 0.9
  options.minP = 0.01
  options.repetitionPenalty = 1.3
  let count = 1_100, rows = 5
  let generator = try Generator(seed: 8)
  var (greedy, broken) = (options, 0)
  greedy.temperature = 0
  for round in 0..<20 {
    try withTorch {
      let logits = Tensor.normal([rows, count], standardDeviation: 3, from: generator)
      if round == 7 { logits.select(0, 2).slice(0, 900..<901).fill(.infinity) }
      let numbers = Tensor.uniform([rows, 1], .float64, from: generator)
      let seen = Tensor.uniform([rows, count], from: generator) .< 0.2
      for options in [options, greedy] {
        let batch = try options.sample(from: logits, numbers: numbers, seen: seen).elements(Int64.self)
        for row in 0..<rows {
          let own = row..<(row + 1)
          let alone = options.sample(
            from: logits.slice(0, own), numbers: numbers.slice(0, own), seen: seen.slice(0, own))
          #expect(try alone.elements(Int64.self) == [batch[row]])
        }
        broken += batch.count { $0 == -1 }
      }
    }
  }
  #expect(broken == 2)
}

@Test func theKernelDrawsWhatTheOperatorsDo() throws {
  var (likely, shared) = (SamplingOptions(), SamplingOptions())
  likely.minP = 0.02
  shared.topP = 0.9
  let generator = try Generator(seed: 4)
  for options in SamplingOptions.methods + [likely, shared] where !options.isGreedy {
    try withTorch {
      let logits = Tensor.normal([64, 5_000], standardDeviation: 3, from: generator)
      let numbers = Tensor.uniform([64, 1], .float64, from: generator)
      let seen = options.repetitionPenalty == 1 ? nil : Tensor.uniform([64, 5_000], from: generator) .< 0.2
      let weights = options.scores(logits, seen: seen).exp()
      let expected = try SamplingOptions.sample(weights, by: numbers).elements(Int64.self)
      #expect(try options.sample(from: logits, numbers: numbers, seen: seen).elements(Int64.self) == expected)
      #expect(Set(expected).count > 8)
    }
  }
}

@Test func numbersCanBeSeenBeforeTheyAreTaken() throws {
  let (one, other) = (try RandomNumbers(seed: 6), try RandomNumbers(seed: 6))
  let alone = try (0..<300).map { _ in try one.take() }
  #expect(Set(alone).count == 300 && alone.allSatisfy { (0..<1).contains($0) })
  #expect(try other.upcoming(256, from: 0) == Array(alone[..<256]))
  #expect(try other.take() == alone[0])
  #expect(try other.upcoming(40, from: 256) == Array(alone[256..<296]))
  #expect(try (1..<300).map { _ in try other.take() } == Array(alone[1...]))
}

@Test func aSeedDecidesAllChoices() throws {
  func samples(_ seed: UInt64) throws -> [TokenID] {
    let sampler = try sampler(seed: seed) { _ in }
    return try (0..<40).map { _ in try sampler.next(Tensor(logits), after: []) }
  }
  #expect(try samples(5) == samples(5))
  #expect(try samples(5) != samples(6))
}

@Test(arguments: [Float.nan, .infinity, -.infinity])
func brokenLogitsAreReported(value: Float) throws {
  let sampler = try sampler { _ in }
  #expect(
    message { _ = try sampler.next(Tensor([0, value]), after: [1, 2]) }
      == "the logits after 2 tokens are not finite: the model's weights are broken")
}

/// A change that no sampler accepts.
struct Refusal: Sendable {
  let error: String
  let change: @Sendable (inout SamplingOptions) -> Void

  init(_ error: String, _ change: @escaping @Sendable (inout SamplingOptions) -> Void) {
    self.error = error
    self.change = change
  }
}

@Test(
  arguments: [
    Refusal("temperature is -1.0: expected a finite number of at least 0", { $0.temperature = -1 }),
    Refusal("temperature is nan: expected a finite number of at least 0", { $0.temperature = .nan }),
    Refusal("temperature is inf: expected a finite number of at least 0", { $0.temperature = .infinity }),
    Refusal("top-p is -0.1: expected from 0 to 1", { $0.topP = -0.1 }),
    Refusal("top-p is 1.01: expected from 0 to 1", { $0.topP = 1.01 }),
    Refusal("top-p is nan: expected from 0 to 1", { $0.topP = .nan }),
    Refusal("top-k is -2: expected at least 1, or 0 or -1 to keep all tokens", { $0.topK = -2 }),
    Refusal("min-p is 1.01: expected from 0 to 1", { $0.minP = 1.01 }),
    Refusal("min-p is -0.1: expected from 0 to 1", { $0.minP = -0.1 }),
    Refusal("repetition penalty is 0.0: expected from 0.001 to 1000", { $0.repetitionPenalty = 0 }),
    Refusal("repetition penalty is 1e-308: expected from 0.001 to 1000", { $0.repetitionPenalty = 1e-308 }),
    Refusal("repetition penalty is inf: expected from 0.001 to 1000", { $0.repetitionPenalty = .infinity }),
  ]
)
func meaninglessOptionsAreRefused(refusal: Refusal) {
  #expect(message { _ = try sampler(refusal.change) } == refusal.error)
}

@Test(
  "Values that other programs write for no filter, or for the most probable token alone, mean that here",
  arguments: Kernels.allCases)
func ordinaryBounds_areAccepted(kernels: Kernels) throws {
  try Kernels.$selected.withValue(kernels) {
    var values: [Float] = (0..<3000).map { Float($0 * 37 % 101) / 20 }
    values[1234] = 6
    let logits = Tensor(values)
    func sampled(_ change: (inout SamplingOptions) -> Void) throws -> [TokenID] {
      let sampler = try sampler(change)
      return try (0..<20).map { _ in try sampler.next(logits, after: [1234, 5]) }
    }
    let free = try sampled { _ in }
    #expect(Set(free).count > 10)
    for k in [0, -1, 3000, .max] { #expect(try sampled { $0.topK = k } == free) }
    let most = [TokenID](repeating: 1234, count: 20)
    #expect(try sampled { $0.topP = 0 } == most)
    #expect(try sampled { $0.minP = 1 } == most)
    #expect(
      try sampled {
        $0.topP = 0
        $0.minP = 1
        $0.topK = 1
      } == most)
    for penalty in [0.001, 1000] {
      for temperature in [1e-300, 1e-5, 1, 1e300] {
        #expect(
          try sampled {
            $0.repetitionPenalty = penalty
            $0.temperature = temperature
          }.allSatisfy { $0 >= 0 })
      }
    }
  }
}

@Test(arguments: [1, 2, 511, 512, 513, 1024, 1100, 1600]) func greedyTakesTheFirstOfTheLargest(count: Int) throws {
  let greedy = try Sampler(.greedy, seed: 0)
  for place in [0, count / 3, count / 2, count - 1] {
    for others in [[], [count - 1], [min(place + 1, count - 1), count - 1]] {
      var logits = (0..<count).map { Float($0 % 7) - 9 }
      for each in [place] + others { logits[each] = -1 }
      #expect(try greedy.next(Tensor(logits), after: []) == TokenID(place))
    }
  }
}
