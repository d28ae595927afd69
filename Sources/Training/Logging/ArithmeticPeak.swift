import Foundation
import WidebandTorch

/// The peak arithmetic throughput of the machine, to which the speed of a training step is compared.
public enum ArithmeticPeak {
  /// Floating-point operations per second in the fastest of six products of large square matrices.
  ///
  /// - Parameter dtype: the dtype of the training step's activations.
  /// - Throws: the first error of an operator.
  public static func measure(on device: Device, dtype: DType) throws -> Double {
    let size = device.kind == .cpu ? 1024 : 8192
    let clock = ContinuousClock()
    return try withTorch {
      try withoutGradients {
        // Random numbers: a GPU is faster on constant ones.
        let a = Tensor.normal([size, size], from: try Generator(seed: 0)).to(device).to(dtype)
        var best = 0.0
        for _ in 0..<6 {
          let start = clock.now
          _ = a.linear(a)
          try device.synchronize()
          best = max(best, 2 * pow(Double(size), 3) / ((clock.now - start) / .seconds(1)))
        }
        return best
      }
    }
  }
}
