import WidebandTorch

/// The peak memory bandwidth of the machine, to which memory-bound kernels are compared.
public enum MemoryPeak {
  /// Bytes per second, read and written together, in the fastest of eight copies of an array larger than the caches.
  ///
  /// - Throws: the first error of an operator.
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

  /// Bytes per second read by all threads from an array larger than the caches. Decoding is compared to it, as a step
  /// reads every weight once.
  ///
  /// - Throws: the first error of an operator.
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
