import CTorch

/// A stream of random numbers that a seed determines and whose state can be saved.
public final class Generator: @unchecked Sendable {
  let pointer: OpaquePointer

  /// A generator for tensors on `device`.
  public init(seed: UInt64, on device: Device = .cpu) throws {
    guard let pointer = wb_generator_create(device.packed, seed) else {
      throw TorchError("generator on \(device): \(lastError())")
    }
    self.pointer = pointer
  }

  deinit { wb_generator_release(pointer) }

  /// The state as bytes; `restore` continues the same stream from it.
  public func state() throws -> [UInt8] {
    try withTorch { try Tensor(result: wb_generator_state(pointer), of: "generator state").elements() }
  }

  /// Returns to a saved state.
  public func restore(_ state: [UInt8]) throws {
    let tensor = Tensor(state)
    guard let bytes = tensor.pointer, wb_generator_restore(pointer, bytes) else {
      throw TorchError("generator state of \(state.count) bytes: \(lastError())")
    }
  }
}
