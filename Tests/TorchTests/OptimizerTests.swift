import Foundation
import Testing
import WidebandTorch

@Suite struct OptimizerTests {
  /// Three steps of AdamW compared to the published update in float64.
  @Test(arguments: Kernels.allCases) func adamWEqualsItsFormula(_ kernels: Kernels) throws {
    let (rate, beta1, beta2, decay, epsilon, divisor) = (0.1, 0.9, 0.99, 0.2, 1e-8, 4.0)
    var expected = [1.0, -2, 0.5]
    var (first, second) = ([0.0, 0, 0], [0.0, 0, 0])
    let weight = Tensor(expected.map { Float($0) }).requiringGradient()
    let moments = [Tensor.zeros([3]), Tensor.zeros([3])]
    for step in 1...3 {
      let gradient = [2.0 * Double(step), -3, 0.25]
      for i in expected.indices {
        let g = gradient[i] / divisor
        first[i] = beta1 * first[i] + (1 - beta1) * g
        second[i] = beta2 * second[i] + (1 - beta2) * g * g
        let slope = first[i] / (1 - pow(beta1, Double(step)))
        let size = (second[i] / (1 - pow(beta2, Double(step)))).squareRoot() + epsilon
        expected[i] -= rate * decay * expected[i] + rate * slope / size
      }
      try withTorch {
        weight.clearGradient()
        (weight * Tensor(gradient.map { Float($0) })).sum().backward()
        let weights = [
          OptimizedWeight(
            weight, firstMoment: moments[0], secondMoment: moments[1], learningRate: rate, weightDecay: decay)
        ]
        try Kernels.$selected.withValue(kernels) {
          let norm = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
          let found = try weights.gradientNorm()
          #expect(abs(found - norm) < 1e-6 * norm)
          weights.takeAdamWStep(step, beta1: beta1, beta2: beta2, epsilon: epsilon, divisor: divisor)
        }
      }
      try expect(expected, within: 1e-5) { weight.detached() }
      try expect(first, within: 1e-5) { moments[0] }
      try expect(second, within: 1e-5) { moments[1] }
    }
  }
}
