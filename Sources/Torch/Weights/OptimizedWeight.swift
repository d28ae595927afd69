import WidebandCTorch

/// A weight with its AdamW state and hyperparameters.
public struct OptimizedWeight {
  /// The weight, which the optimizer updates in place.
  public let weight: Tensor
  /// The gradient; nil for the weight's own.
  private let ownGradient: Tensor?
  /// The running mean of the gradient, of the weight's shape.
  public let firstMoment: Tensor
  /// The running mean of the gradient's square, of the weight's shape.
  public let secondMoment: Tensor
  /// The learning rate.
  public let learningRate: Double
  /// Factors of the learning rate for each element, of the weight's shape; nil if it is the same for all.
  public let rateFactors: Tensor?
  /// The decoupled weight decay: a step subtracts learning rate · weight decay · weight.
  public let weightDecay: Double

  /// A weight, its moments and its hyperparameters.
  ///
  /// - Parameter gradient: a gradient of the weight's shape; nil for the one that the backward pass has given the weight.
  public init(
    _ weight: Tensor, gradient: Tensor? = nil, firstMoment: Tensor, secondMoment: Tensor, learningRate: Double,
    rateFactors: Tensor? = nil, weightDecay: Double
  ) {
    self.weight = weight
    ownGradient = gradient
    self.firstMoment = firstMoment
    self.secondMoment = secondMoment
    self.learningRate = learningRate
    self.rateFactors = rateFactors
    self.weightDecay = weightDecay
  }

  /// The gradient; zeros for a weight that the loss does not depend on.
  fileprivate var gradient: Tensor {
    ownGradient ?? weight.gradient ?? .zeros(weight.shape, weight.dtype, on: weight.device)
  }

  /// The weight as the C interface takes it; nil after a failure.
  fileprivate var parameter: wb_parameter? {
    guard let weight = weight.pointer, let first = firstMoment.pointer, let second = secondMoment.pointer else {
      return nil
    }
    return wb_parameter(
      weight: weight, gradient: ownGradient?.pointer, first_moment: first, second_moment: second,
      learning_rate: learningRate,
      weight_decay: weightDecay)
  }
}

/// AdamW: one kernel for all float32 weights on the CPU, libtorch's fused operator elsewhere.
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

  /// The Euclidean norm of all gradients together as a scalar tensor on their device.
  public func norm() -> Tensor { withoutGradients { Tensor.stack(map { $0.gradient.norm() }).norm() } }

  /// Takes one AdamW step on all weights, in place.
  ///
  /// Source: Decoupled Weight Decay Regularization, arXiv 1711.05101, algorithm 2.
  ///
  /// - Parameters:
  ///   - step: the number of this step, from 1.
  ///   - divisor: the number that all gradients are divided by first.
  public func takeAdamWStep(_ step: Int, beta1: Double, beta2: Double, epsilon: Double, divisor: Double) {
    let isDone = scalingChanges {
      runKernel("adamw") {
        wb_adamw($0.baseAddress, Int32($0.count), beta1, beta2, epsilon, divisor, Int64(step))
      }
    }
    guard !isDone, let device = first?.weight.device else { return }
    func scalar(_ value: Double) -> Tensor { .full([], value, on: device) }
    takeAdamWStep(
      scalar(Double(step)), rate: scalar(1), beta1: beta1, beta2: beta2, epsilon: epsilon, divisor: scalar(divisor),
      isFinite: .full([], 1, .bool, on: device))
  }

  /// Takes one AdamW step by libtorch's fused operator, with everything that changes from step to step in scalar
  /// tensors on the weights' device. It needs no host synchronization, so it can be captured in a CUDA graph.
  ///
  /// - Parameters:
  ///   - step: the number of this step, from 1.
  ///   - rate: the factor of every weight's learning rate.
  ///   - divisor: the number that all gradients are divided by first.
  ///   - isFinite: a boolean; the step changes nothing where it is false.
  public func takeAdamWStep(
    _ step: Tensor, rate: Tensor, beta1: Double, beta2: Double, epsilon: Double, divisor: Tensor, isFinite: Tensor
  ) {
    scalingChanges {
      let skips = isFinite.not().to(.float32)
      for (settings, group) in Dictionary(grouping: self, by: { [$0.learningRate, $0.weightDecay] }) {
        Self.adamWOperator.perform(
          .tensors(group.map(\.weight)), .tensors(group.map(\.gradient)), .tensors(group.map(\.firstMoment)),
          .tensors(group.map(\.secondMoment)), .tensors([]), .tensors(group.map { _ in step }),
          .tensor(rate * settings[0]), .double(beta1), .double(beta2), .double(settings[1]),
          .double(epsilon), .bool(false), .bool(false), .tensor(divisor), .tensor(skips))
      }
    }
  }

  /// Takes a step, and multiplies its changes of weights by their factors: a step is linear in the learning rate.
  private func scalingChanges<Result>(_ step: () -> Result) -> Result {
    withoutGradients {
      let scaled = compactMap { weight in
        weight.rateFactors.map { (weight: weight.weight, factors: $0, before: weight.weight.cloned()) }
      }
      let result = step()
      for (weight, factors, before) in scaled { weight.copy(from: before.addcmul(factors, weight - before)) }
      return result
    }
  }

  /// Runs `body` if there is a kernel for these weights. Returns whether there is; its failure is reported to the
  /// scope.
  private func runKernel(_ name: String, _ body: (UnsafeBufferPointer<wb_parameter>) -> Bool) -> Bool {
    guard Kernels.selected == .fused else { return false }
    return withExtendedLifetime(self) {
      compactMap(\.parameter).withUnsafeBufferPointer { parameters in
        guard parameters.count == count, wb_adamw_is_supported(parameters.baseAddress, Int32(count)) else {
          return false
        }
        if !body(parameters) { ErrorScope.current.report(.last(of: "\(name)(\(count) weights)")) }
        return true
      }
    }
  }
}
