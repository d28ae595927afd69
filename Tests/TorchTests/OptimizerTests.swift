import Foundation
import Testing
import Torch

@Suite struct OptimizerTests {
  /// Three steps of fused AdamW against the published update, computed one number at a time.
  @Test func adamWEqualsItsFormula() throws {
    let (rate, beta1, beta2, decay, epsilon, divisor) = (0.1, 0.9, 0.99, 0.2, 1e-8, 4.0)
    var expected = [1.0, -2, 0.5]
    var (first, second) = ([0.0, 0, 0], [0.0, 0, 0])
    let weight = Tensor(expected.map { Float($0) })
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
        Tensor.fusedAdamW(
          weights: [weight], gradients: [Tensor(gradient.map { Float($0) })], firstMoments: [moments[0]],
          secondMoments: [moments[1]], steps: [.full([], Double(step))], learningRate: rate, beta1: beta1,
          beta2: beta2, weightDecay: decay, epsilon: epsilon, divisor: .full([], divisor))
      }
      try expect(expected, within: 1e-5) { weight }
      try expect(first, within: 1e-5) { moments[0] }
      try expect(second, within: 1e-5) { moments[1] }
    }
  }
}
