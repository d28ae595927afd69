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
    // Random numbers: a GPU is faster on constant ones.
    let a = try withTorch { Tensor.normal([size, size], from: try Generator(seed: 0)).to(device).to(dtype) }
    return try 2 * pow(Double(size), 3) / leastSeconds(of: 6, on: device) { _ = a.linear(a) }
  }
}

/// The peak memory bandwidth of the machine, to which memory-bound kernels are compared.
public enum MemoryPeak {
  /// Bytes per second, read and written together, in the fastest of eight copies of an array larger than the caches.
  ///
  /// - Throws: the first error of an operator.
  public static func measure(on device: Device) throws -> Double {
    let count = (device.kind == .cpu ? 64 : 1024) << 20
    let (source, target) = try withTorch {
      (Tensor.zeros([count / 4], on: device), Tensor.zeros([count / 4], on: device))
    }
    return try 2 * Double(count) / leastSeconds(of: 8, on: device) { target.copy(from: source) }
  }

  /// Bytes per second read by all threads from an array larger than the caches. Decoding is compared to it, as a step
  /// reads every weight once.
  ///
  /// - Throws: the first error of an operator.
  public static func measureReading(on device: Device) throws -> Double {
    guard device.kind != .cpu else { return Machine.readBandwidth(bytes: 5 << 28) }
    let count = 1 << 32
    let source = try withTorch { Tensor.zeros([count / 4], on: device) }
    return try Double(count) / leastSeconds(of: 8, on: device) { _ = source.sum() }
  }
}

/// The time of the fastest of several runs of `work`, until the device has finished.
private func leastSeconds(of runs: Int, on device: Device, _ work: () -> Void) throws -> Double {
  let clock = ContinuousClock()
  return try withTorch {
    try withoutGradients {
      try (0..<runs).reduce(.infinity) { least, _ in
        let start = clock.now
        work()
        try device.synchronize()
        return min(least, (clock.now - start) / .seconds(1))
      }
    }
  }
}
