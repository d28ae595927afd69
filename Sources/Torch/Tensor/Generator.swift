import WidebandCTorch

/// A seeded random number generator of libtorch.
public final class Generator {
  let pointer: OpaquePointer

  /// A generator of random tensors on `device`.
  ///
  /// - Throws: `TorchError` if the device has no generators.
  public init(seed: UInt64, on device: Device = .cpu) throws {
    guard let pointer = wb_generator_create(device.packed, seed) else {
      throw TorchError("generator on \(device): \(lastError())")
    }
    self.pointer = pointer
  }

  deinit { wb_generator_release(pointer) }
}
