import Foundation
import Torch

/// How fast the machine multiplies large matrices: what a training step's speed is measured against.
public enum ArithmeticPeak {
  /// Floating-point operations a second in the best of a few products of large square matrices.
  ///
  /// - Parameter dtype: what a training step computes in.
  public static func measure(on device: Device, dtype: DType) throws -> Double {
    let size = device.kind == .cpu ? 1024 : 8192
    let clock = ContinuousClock()
    return try withTorch {
      try withoutGradients {
        let a = Tensor.ones([size, size], dtype, on: device)
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
