import Torch

/// How fast the machine moves memory: what a kernel is measured against that has little to compute.
public enum MemoryPeak {
  /// Bytes a second, read and written together, in the best of a few copies of an array too large for any cache.
  public static func measure(on device: Device) throws -> Double {
    let count = (device.kind == .cpu ? 64 : 1024) << 20
    let clock = ContinuousClock()
    return try withTorch {
      try withoutGradients {
        let source = Tensor.zeros([count / 4], on: device), target = Tensor.zeros([count / 4], on: device)
        var best = 0.0
        for _ in 0..<8 {
          let start = clock.now
          target.copy(from: source)
          try device.synchronize()
          best = max(best, 2 * Double(count) / ((clock.now - start) / .seconds(1)))
        }
        return best
      }
    }
  }

  /// Bytes a second in a few passes that only read an array too large for any cache, by all threads.
  ///
  /// What decoding is measured against: a step reads every weight once. The array is freed again.
  public static func measureReading(on device: Device) throws -> Double {
    guard device.kind != .cpu else { return Machine.readBandwidth(bytes: 5 << 28) }
    let count = 1 << 32
    let clock = ContinuousClock()
    return try withTorch {
      try withoutGradients {
        let source = Tensor.zeros([count / 4], on: device)
        var best = 0.0
        for _ in 0..<8 {
          let start = clock.now
          _ = source.sum()
          try device.synchronize()
          best = max(best, Double(count) / ((clock.now - start) / .seconds(1)))
        }
        return best
      }
    }
  }
}
