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
        // Random numbers: a GPU is faster where many bits stay as they are.
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
