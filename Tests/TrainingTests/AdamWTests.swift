import OrderedCollections
import TestSupport
import Testing
import WidebandTorch

@testable import WidebandTraining

struct AdamWTests {
  private static let settings = Recipe.Optimizer(
    learningRate: 1, connectionRates: .init(all: 0.25), beta1: 0.9, beta2: 0.95, epsilon: 1e-4, weightDecay: 0.3,
    clip: 1)

  private static let start: OrderedDictionary<String, [Double]> = [
    "layer.weight": [0.5, -1.25, 2, 0.125], "layer.norm.weight": [1, -0.75],
    "layer.mlp_connection.static_alpha": [1, 0.5], "layer.mlp_connection.dynamic_alpha": [0.25, -2],
  ]

  private func weights() -> OrderedDictionary<String, Tensor> {
    Self.start.mapValues { values in
      // Rank 1 is not decayed, rank 2 is: the norm's gain is the only vector.
      let shape = values == [1, -0.75] ? [2] : [values.count / 2, 2]
      return Tensor(values.map(Float.init), shape: shape).requiringGradient()
    }
  }

  /// The gradient of a weight in a step, from 1: different in every weight, element and step.
  private func gradient(_ name: String, _ step: Int) -> [Double] {
    let seed = Double(name.utf8.count)
    let count = Self.start[name]?.count ?? 0
    return (0..<count).map {
      ((seed * 0.37 + Double($0) * 1.1 + Double(step) * 0.7).truncatingRemainder(dividingBy: 3)) - 1.5
    }
  }

  private func setGradients(_ weights: OrderedDictionary<String, Tensor>, step: Int) throws {
    try withTorch {
      for (name, weight) in weights {
        (weight * Tensor(gradient(name, step).map(Float.init), shape: weight.shape)).sum().backward()
      }
    }
  }

  /// Algorithm 2 of arXiv 1711.05101 in float64, for one weight over some steps.
  private func expected(_ name: String, rates: [Double], scales: [Double]) -> [Double] {
    let settings = Self.settings
    let isDecayed = name == "layer.weight" || name.hasSuffix("dynamic_alpha")
    let factor = name.contains("_connection.") ? settings.connectionRates.read : 1
    var weight = Self.start[name] ?? []
    var (first, second) = (weight.map { _ in 0.0 }, weight.map { _ in 0.0 })
    for step in 1...rates.count {
      let rate = rates[step - 1] * factor
      for (i, raw) in gradient(name, step).enumerated() {
        let g = raw / scales[step - 1]
        first[i] = settings.beta1 * first[i] + (1 - settings.beta1) * g
        second[i] = settings.beta2 * second[i] + (1 - settings.beta2) * g * g
        let mean = first[i] / (1 - pow(settings.beta1, step))
        let square = second[i] / (1 - pow(settings.beta2, step))
        weight[i] -= rate * (isDecayed ? settings.weightDecay : 0) * weight[i]
        weight[i] -= rate * mean / (square.squareRoot() + settings.epsilon)
      }
    }
    return weight
  }

  private func pow(_ base: Double, _ exponent: Int) -> Double {
    (0..<exponent).reduce(1) { product, _ in product * base }
  }

  @Test(arguments: Array(start.keys)) func agreesWithTheFormula(_ name: String) throws {
    let weights = weights()
    let optimizer = try AdamW(weights, Self.settings)
    let (rates, scales) = ([0.1, 0.05, 0.2, 0.01], [1.0, 4, 2.5, 1])
    for step in 1...rates.count {
      try setGradients(weights, step: step)
      try withTorch { optimizer.step(learningRate: rates[step - 1], divisor: scales[step - 1]) }
    }
    let found = try #require(weights[name]).detached().elements(Float.self).map(Double.init)
    for (found, expected) in zip(found, expected(name, rates: rates, scales: scales)) {
      #expect(abs(found - expected) <= 2e-6 * max(1, abs(expected)))
    }
  }

  @Test("a step clears all gradients") func gradients_afterStep() throws {
    let weights = weights()
    let optimizer = try AdamW(weights, Self.settings)
    try setGradients(weights, step: 1)
    try withTorch { optimizer.step(learningRate: 0.1, divisor: 1) }
    #expect(weights.values.allSatisfy { $0.gradient == nil })
  }

  @Test("the gradient norm is that of all gradients together") func gradientNorm_value() throws {
    let weights = weights()
    let optimizer = try AdamW(weights, Self.settings)
    try setGradients(weights, step: 3)
    let squares = weights.keys.flatMap { gradient($0, 3) }.reduce(0) { $0 + $1 * $1 }
    let norm = try optimizer.gradientNorm()
    #expect(abs(norm - squares.squareRoot()) < 1e-6 * norm)
  }

  @Test func aWeightWithoutGradientOnlyDecays() throws {
    let weights = weights()
    let optimizer = try AdamW(weights, Self.settings)
    try withTorch { optimizer.step(learningRate: 0.1, divisor: 1) }
    #expect(try weights["layer.norm.weight"]?.detached().elements(Float.self) == [1, -0.75])
    let decayed = try #require(weights["layer.weight"]).detached().elements(Float.self)
    for (found, start) in zip(decayed, Self.start["layer.weight"] ?? []) {
      #expect(abs(Double(found) - start * (1 - 0.1 * 0.3)) < 1e-6)
    }
  }

  @Test("stored moments continue the run bit for bit") func moments_stored() throws {
    let (whole, parts) = (weights(), weights())
    let uninterrupted = try AdamW(whole, Self.settings)
    let before = try AdamW(parts, Self.settings)
    for step in 1...2 {
      for (weights, optimizer) in [(whole, uninterrupted), (parts, before)] {
        try setGradients(weights, step: step)
        try withTorch { optimizer.step(learningRate: 0.1, divisor: 1) }
      }
    }
    let stored = Dictionary(uniqueKeysWithValues: before.moments.map { ($0.key, $0.value.cloned()) })
    let after = try AdamW(parts, Self.settings, step: 2, stored: stored)
    for (weights, optimizer) in [(whole, uninterrupted), (parts, after)] {
      try setGradients(weights, step: 3)
      try withTorch { optimizer.step(learningRate: 0.1, divisor: 1) }
    }
    for (name, weight) in whole {
      #expect(try areIdentical(weight.detached(), #require(parts[name]).detached()), "\(name)")
    }
    #expect(uninterrupted.moments.keys == after.moments.keys)
  }

  @Test("missing, misshapen and unexpected moments are rejected") func moments_mismatched() throws {
    let weights = weights()
    var stored = Dictionary(uniqueKeysWithValues: try AdamW(weights, Self.settings).moments.map { ($0.key, $0.value) })
    stored["first_moment.layer.weight"] = nil
    #expect(
      message { _ = try AdamW(weights, Self.settings, step: 1, stored: stored) }
        == "missing tensor 'first_moment.layer.weight': the configuration expects it with shape [2, 2]")
    stored["first_moment.layer.weight"] = .zeros([3])
    #expect(
      message { _ = try AdamW(weights, Self.settings, step: 1, stored: stored) }
        == "tensor 'first_moment.layer.weight' has shape [3]: the configuration expects [2, 2]")
    stored["first_moment.layer.weight"] = .zeros([2, 2])
    stored["first_moment.other"] = .zeros([1])
    #expect(
      message { _ = try AdamW(weights, Self.settings, step: 1, stored: stored) }
        == "unexpected tensor 'first_moment.other': the configuration has no place for it")
  }
}
