import WidebandCTorch

/// A seeded random number generator of libtorch. Its state can be saved and restored.
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

  /// The state as bytes, from which `restore` continues the same stream.
  public func state() throws -> [UInt8] {
    try withTorch { try Tensor(result: wb_generator_state(pointer), of: "generator state").elements() }
  }

  /// Sets the state to one that `state()` returned.
  ///
  /// - Throws: `TorchError` for bytes that are not such a state; the generator is unchanged then.
  public func restore(_ state: [UInt8]) throws {
    let tensor = Tensor(state)
    guard let bytes = tensor.pointer, wb_generator_restore(pointer, bytes) else {
      throw TorchError("generator state of \(state.count) bytes: \(lastError())")
    }
  }
}
