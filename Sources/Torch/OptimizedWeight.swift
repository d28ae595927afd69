import CTorch

/// A weight and what AdamW knows of it.
public struct OptimizedWeight {
  /// What is changed, as its gradient says.
  public let weight: Tensor
  /// The running mean of the gradient, of the weight's shape.
  public let firstMoment: Tensor
  /// The running mean of the gradient's square, of the weight's shape.
  public let secondMoment: Tensor
  /// The learning rate.
  public let learningRate: Double
  /// The share of itself that the weight loses in a step, in units of the learning rate.
  public let weightDecay: Double

  /// A weight to be optimised.
  public init(
    _ weight: Tensor, firstMoment: Tensor, secondMoment: Tensor, learningRate: Double, weightDecay: Double
  ) {
    self.weight = weight
    self.firstMoment = firstMoment
    self.secondMoment = secondMoment
    self.learningRate = learningRate
    self.weightDecay = weightDecay
  }

  /// A weight that nothing depended on has a gradient of zero.
  fileprivate var gradient: Tensor {
    weight.gradient ?? .zeros(weight.shape, weight.dtype, on: weight.device)
  }

  fileprivate var parameter: wb_parameter? {
    guard let weight = weight.pointer, let first = firstMoment.pointer, let second = secondMoment.pointer else {
      return nil
    }
    return wb_parameter(
      weight: weight, first_moment: first, second_moment: second, learning_rate: learningRate,
      weight_decay: weightDecay)
  }
}

/// AdamW: on the processor one kernel for all float32 weights, libtorch's fused operator elsewhere.
extension [OptimizedWeight] {
  private static let adamWOperator = Operator("_fused_adamw_", "tensor_lr")

  /// The Euclidean norm of all gradients together.
  ///
  /// - Throws: `TorchError` if a gradient cannot be read.
  public func gradientNorm() throws -> Double {
    try withTorch {
      var norm = 0.0
      if runKernel("gradient_norm", { wb_gradient_norm($0.baseAddress, Int32($0.count), &norm) }) { return norm }
      return try self.norm().item()
    }
  }

  /// The same as a tensor of one number, where the gradients lie.
  public func norm() -> Tensor { withoutGradients { Tensor.stack(map { $0.gradient.norm() }).norm() } }

  /// One AdamW step on every weight in place, in one pass over each.
  ///
  /// Source: Decoupled Weight Decay Regularization, arXiv 1711.05101, algorithm 2.
  ///
  /// - Parameters:
  ///   - step: the number of this step, from 1.
  ///   - divisor: what every gradient is divided by first.
  public func takeAdamWStep(_ step: Int, beta1: Double, beta2: Double, epsilon: Double, divisor: Double) {
    let isDone = runKernel("adamw") {
      wb_adamw($0.baseAddress, Int32($0.count), beta1, beta2, epsilon, divisor, Int64(step))
    }
    guard !isDone, let device = first?.weight.device else { return }
    func number(_ value: Double) -> Tensor { .full([], value, on: device) }
    takeAdamWStep(
      (number(Double(step)), number(1)), beta1: beta1, beta2: beta2, epsilon: epsilon, divisor: number(divisor),
      isFinite: .full([], 1, .bool, on: device))
  }

  /// The same by operators that find all that changes from step to step where the weights lie, each a tensor of one number,
  /// so that it can be recorded.
  ///
  /// - Parameters:
  ///   - numbers: the number of this step, from 1, and what every weight's learning rate is multiplied by.
  ///   - divisor: what every gradient is divided by first.
  ///   - isFinite: whether anything is changed at all.
  public func takeAdamWStep(
    _ numbers: (step: Tensor, rate: Tensor), beta1: Double, beta2: Double, epsilon: Double, divisor: Tensor,
    isFinite: Tensor
  ) {
    withoutGradients {
      let skips = isFinite.not().to(.float32)
      for (treatment, group) in Dictionary(grouping: self, by: { [$0.learningRate, $0.weightDecay] }) {
        Self.adamWOperator.perform(
          .tensors(group.map(\.weight)), .tensors(group.map(\.gradient)), .tensors(group.map(\.firstMoment)),
          .tensors(group.map(\.secondMoment)), .tensors([]), .tensors(group.map { _ in numbers.step }),
          .tensor(numbers.rate * treatment[0]), .double(beta1), .double(beta2), .double(treatment[1]),
          .double(epsilon), .bool(false), .bool(false), .tensor(divisor), .tensor(skips))
      }
    }
  }

  /// Whether there is a kernel for these weights, which then has run or whose failure is on record.
  private func runKernel(_ name: String, _ body: (UnsafeBufferPointer<wb_parameter>) -> Bool) -> Bool {
    guard Kernels.selected == .fused else { return false }
    return withExtendedLifetime(self) {
      compactMap(\.parameter).withUnsafeBufferPointer { parameters in
        guard parameters.count == count, wb_adamw_is_supported(parameters.baseAddress, Int32(count)) else {
          return false
        }
        if !body(parameters) { ErrorScope.current.record(.last(of: "\(name)(\(count) weights)")) }
        return true
      }
    }
  }
}
