/// Optimizer steps.
extension Tensor {
  private static let adamWOperator = Operator("_fused_adamw_")

  /// One AdamW step on every weight in place, in one pass over each.
  ///
  /// - Parameters:
  ///   - steps: for each weight a float32 scalar, the number of this step counted from 1.
  ///   - divisor: what every gradient is divided by first, a scalar.
  public static func fusedAdamW(
    weights: [Tensor], gradients: [Tensor], firstMoments: [Tensor], secondMoments: [Tensor], steps: [Tensor],
    learningRate: Double, beta1: Double, beta2: Double, weightDecay: Double, epsilon: Double, divisor: Tensor
  ) {
    adamWOperator.perform(
      .tensors(weights), .tensors(gradients), .tensors(firstMoments), .tensors(secondMoments), .tensors([]),
      .tensors(steps), .double(learningRate), .double(beta1), .double(beta2), .double(weightDecay), .double(epsilon),
      .bool(false), .bool(false), .tensor(divisor))
  }
}
