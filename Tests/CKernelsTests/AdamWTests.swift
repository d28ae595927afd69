import TestSupport
import Testing
import WidebandCKernels
import WidebandTorch

/// The optimizer's kernel against the formula in float64 and against libtorch's operator, on every vector code.
@Suite struct AdamWTests {
  @Test(arguments: ["avx512", "avx2", "portable"]) func kernelsTakeTheSteps(code: String) async {
    await #expect(processExitsWith: .success) { [code] in
      guard ck_use_vector_code(code) else { return }
      for sizes in [[1], [5, 16], [0, 33, 7, 1000], [3, 200_003, 64]] {
        let (exact, composed) = try (Optimized(sizes), Optimized(sizes))
        let (one, two) = try (Optimized(sizes), Optimized(sizes))
        for step in 1...3 {
          let norm = try exact.takeExactStep(step)
          let found = try one.weights.gradientNorm()
          #expect(abs(found - norm) <= 1e-6 * norm, "\(sizes): a norm of \(found), expected \(norm)")
          try Kernels.$selected.withValue(.composed) { try composed.takeStep(step) }
          Machine.threadCount = 1
          try one.takeStep(step)
          Machine.threadCount = 2
          try two.takeStep(step)
        }
        for (index, found) in one.values.enumerated() {
          #expect(try areIdentical(found, two.values[index]), "\(sizes): \(index) depends on the threads")
          #expect(try relativeError(of: found, to: exact.values[index]) < 1e-6, "\(sizes): \(index)")
          #expect(try relativeError(of: found, to: composed.values[index]) < 1e-6, "\(sizes): \(index), composed")
        }
      }
    }
  }

  @Test func aNormThatIsNoNumberIsSeen() throws {
    for value in [Float.nan, .infinity] {
      let optimized = try Optimized([40, 1])
      try withTorch { optimized.leaves[0].gradient?.slice(0, 33..<34).fill(Double(value)) }
      #expect(try !optimized.weights.gradientNorm().isFinite)
    }
  }

  @Test func impossibleSizesAreRefused() {
    func isDone(_ parameters: UnsafePointer<ck_parameter>?, _ count: Int64, step: Int64 = 1) -> Bool {
      var args = ck_adamw_args(
        parameters: parameters, count: count, beta1: 0.9, beta2: 0.9, epsilon: 1, gradient_scale: 1, step: step)
      return ck_adamw(&args, 1)
    }
    func norm(_ parameters: UnsafePointer<ck_parameter>?, _ count: Int64) -> Double? {
      var norm = 7.0
      let isDone = withUnsafeMutablePointer(to: &norm) { norm in
        var args = ck_gradient_norm_args(parameters: parameters, count: count, norm: norm)
        return ck_gradient_norm(&args, 1)
      }
      #expect(isDone || norm == 7)
      return isDone ? norm : nil
    }
    var parameter = ck_parameter()
    #expect(isDone(&parameter, 1), "nothing to do")
    #expect(isDone(nil, 0) && !isDone(nil, -1))
    #expect(!isDone(&parameter, 1, step: 0))
    #expect(norm(nil, 0) == 0 && norm(nil, -1) == nil)
    parameter.count = -1
    #expect(norm(&parameter, 1) == nil)
  }
}

/// Weights of some sizes with moments and gradients; every other one decays, and the last has no gradient.
private struct Optimized {
  let leaves: [Tensor]
  let weights: [OptimizedWeight]
  private let beta1 = 0.9, beta2 = 0.95, epsilon = 1e-3, divisor = 1.7

  init(_ sizes: [Int]) throws {
    let random = try RandomTensors(seed: 5)
    let leaves = try withTorch { sizes.map { random.normal($0).requiringGradient() } }
    self.leaves = leaves
    weights = try withTorch {
      leaves.enumerated().map { index, leaf in
        OptimizedWeight(
          leaf, firstMoment: .zeros(leaf.shape), secondMoment: .zeros(leaf.shape),
          learningRate: 0.1 / Double(index + 1), weightDecay: index.isMultiple(of: 2) ? 0.3 : 0)
      }
    }
    try setGradients(1)
  }

  /// All weights and all moments.
  var values: [Tensor] {
    weights.map { $0.weight.detached() } + weights.map(\.firstMoment) + weights.map(\.secondMoment)
  }

  private func gradient(_ leaf: Tensor, _ step: Int) -> Tensor {
    ((Tensor.range(0..<leaf.count, .float64) + Double(31 * step)) * 0.37).cos().to(.float32)
  }

  private func setGradients(_ step: Int) throws {
    try withTorch {
      for leaf in leaves.dropLast(leaves.count > 1 ? 1 : 0) {
        leaf.clearGradient()
        (leaf * gradient(leaf, step)).sum().backward()
      }
    }
  }

  func takeStep(_ step: Int) throws {
    try setGradients(step)
    try withTorch {
      weights.takeAdamWStep(step, beta1: beta1, beta2: beta2, epsilon: epsilon, divisor: divisor)
      try setGradients(step + 1)
    }
  }

  /// Algorithm 2 of arXiv 1711.05101 in float64, rounded to float32 after each step; gives the norm of the gradients.
  func takeExactStep(_ step: Int) throws -> Double {
    try setGradients(step)
    return try withTorch {
      try withoutGradients {
        var squares = 0.0
        for one in weights {
          let whole = (one.weight.gradient ?? .zeros(one.weight.shape)).to(.float64)
          squares += try (whole * whole).sum().item()
          let slope = whole / divisor
          let first = one.firstMoment.to(.float64) * beta1 + slope * (1 - beta1)
          let second = one.secondMoment.to(.float64) * beta2 + slope * slope * (1 - beta2)
          let (firstShare, secondShare) = (1 - power(beta1, step), 1 - power(beta2, step))
          let move = first / firstShare / ((second / secondShare).squareRoot() + epsilon)
          let kept = one.weight.to(.float64) * (1 - one.learningRate * one.weightDecay)
          one.weight.copy(from: kept - move * one.learningRate)
          one.firstMoment.copy(from: first)
          one.secondMoment.copy(from: second)
        }
        return squares.squareRoot()
      }
    }
  }

  private func power(_ base: Double, _ exponent: Int) -> Double { (0..<exponent).reduce(1) { all, _ in all * base } }
}
