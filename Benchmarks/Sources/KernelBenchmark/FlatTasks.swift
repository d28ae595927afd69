import Wideband

/// Kernels that are bound by memory: products of a few rows, as in decoding, and the optimizer.
enum FlatTasks {
  private static let inputs = 2048, outputs = 8192
  /// The size of the square weights; together they have as many parameters as a small model.
  private static let weights = 8, size = 1024

  /// All tasks; the tensors of each are created when it is requested.
  static var all: [(name: String, make: () throws -> KernelTask)] {
    [1, 4, 16].map { rows in ("skinny GEMM", { try skinnyGEMM(rows) }) }
      + [("gradient norm", { try gradientNorm() }), ("AdamW", { try adamW() })]
  }

  private static func skinnyGEMM(_ rows: Int) throws -> KernelTask {
    let random = try Generator(seed: 0)
    let (x, weight) = try withTorch {
      (Tensor.normal([rows, inputs], from: random), Tensor.normal([outputs, inputs], from: random))
    }
    let cost = KernelTask.Cost(
      .forward, operations: 2 * rows * inputs * outputs, floats: inputs * outputs + rows * (inputs + outputs))
    return KernelTask(name: "skinny GEMM", shape: "\(inputs) → \(outputs)", tokens: rows, costs: [cost]) {
      [try timed { try withTorch { withoutGradients { _ = x.linear(weight) } } }.seconds]
    }
  }

  private static func gradientNorm() throws -> KernelTask {
    let weights = try optimized(), count = weights.reduce(0) { $0 + $1.weight.count }
    return KernelTask(
      name: "gradient norm", shape: shape, tokens: 0, costs: [.init(.step, operations: 2 * count, floats: count)]
    ) { [try timed { try weights.gradientNorm() }.seconds] }
  }

  /// Per weight, four numbers are read, three are written, and about fourteen operations are done.
  private static func adamW() throws -> KernelTask {
    let weights = try optimized(), count = weights.reduce(0) { $0 + $1.weight.count }
    var step = 0
    return KernelTask(
      name: "AdamW", shape: shape, tokens: 0, costs: [.init(.step, operations: 14 * count, floats: 7 * count)]
    ) {
      step += 1
      return [
        try timed {
          try withTorch { weights.takeAdamWStep(step, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, divisor: 1) }
        }.seconds
      ]
    }
  }

  private static var shape: String { "\(weights) × \(size) × \(size)" }

  private static func optimized() throws -> [OptimizedWeight] {
    let random = try Generator(seed: 0)
    return try withTorch {
      (0..<weights).map { _ in
        let weight = Tensor.normal([size, size], from: random).requiringGradient()
        (weight * Tensor.normal([size, size], from: random)).sum().backward()
        return OptimizedWeight(
          weight, firstMoment: .zeros([size, size]), secondMoment: .zeros([size, size]), learningRate: 1e-3,
          weightDecay: 0.1)
      }
    }
  }
}
