import TestSupport
import Testing
import WidebandTorch

/// Training through the fused kernels and through composed operators: the same curve, to rounding.
struct KernelCurveTests {
  @Test func bothGiveTheSameCurve() throws {
    func losses(_ kernels: Kernels) throws -> [Double] {
      try Kernels.$selected.withValue(kernels) {
        // A learning rate at which rounding differences do not grow.
        try TrainerFixture("wide", "optimizer.learning_rate=5e-4", "training.steps=200").losses(steps: 200)
      }
    }
    let (fused, composed) = try (losses(.fused), losses(.composed))
    #expect(fused.count == 200)
    #expect(fused[199] < fused[0] - 0.3, "nothing was learned: \(fused[0]) to \(fused[199])")
    for (step, (one, other)) in zip(fused, composed).enumerated() {
      #expect(abs(one - other) <= 2e-4 * other, "step \(step + 1): \(one) and \(other)")
    }
  }
}
