import WidebandCTorch

/// The device that stores a tensor and runs its operators.
public struct Device: Hashable, Sendable, CustomStringConvertible {
  /// The supported kinds of device. Raw values are those of libtorch's `c10::DeviceType`.
  public enum Kind: Int64, Sendable {
    case cpu = 0
    case cuda = 1
    case mps = 13
  }

  /// CPU, CUDA GPU or Apple GPU.
  public let kind: Kind
  /// The index among devices of this kind, from 0.
  public let index: Int

  /// The CPU.
  public static let cpu = Device(kind: .cpu, index: 0)

  init(kind: Kind, index: Int) {
    self.kind = kind
    self.index = index
  }

  /// Initializes the device named "cpu", "cuda", "cuda:1" or "mps".
  ///
  /// - Throws: `TorchError` of kind `device` for an unknown name and for a device that this machine does not have.
  public init(_ name: String) throws {
    let parts = name.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let index = parts.count == 2 ? Int32(parts[1]).map(Int.init) : 0
    switch (parts.first, index) {
    case ("cpu", .some(0)) where parts.count == 1: self = .cpu
    case ("cuda", .some(let index)) where index >= 0 && index < 128: self.init(kind: .cuda, index: index)
    case ("mps", .some(0)) where parts.count == 1: self.init(kind: .mps, index: 0)
    default: throw TorchError("unknown device '\(name)': expected cpu, cuda, cuda:N or mps", kind: .device)
    }
    if !wb_device_prepare(packed) {
      throw TorchError("device '\(name)' is not available: \(lastError())", kind: .device)
    }
  }

  /// The device of a packed value of the C interface.
  init(packed: Int64) {
    self.init(kind: Kind(rawValue: packed & 0xff) ?? .cpu, index: Int(packed >> 32))
  }

  /// The kind in the low 32 bits and the index in the high 32, as the C interface takes a device.
  var packed: Int64 { Int64(index) << 32 | kind.rawValue }

  /// "cpu", "cuda:0", "mps".
  public var description: String {
    kind == .cuda ? "cuda:\(index)" : "\(kind)"
  }

  /// The default dtype of activations: bfloat16 on a CUDA GPU, float32 elsewhere.
  public var computeDType: DType { kind == .cuda ? .bfloat16 : .float32 }

  /// The dtype of activations for weights of a dtype: the same, except that the CPU computes in float32 and its kernels
  /// widen smaller weights as they read them.
  public func activations(for weights: DType) -> DType {
    kind == .cpu && weights.size < DType.float32.size ? .float32 : weights
  }

  /// Waits until the device has finished all queued work.
  ///
  /// - Throws: `TorchError` of kind `device` if that work failed.
  public func synchronize() throws {
    if !wb_device_synchronize(packed) { throw TorchError("synchronize \(self): \(lastError())", kind: .device) }
  }

  /// The peak number of bytes of device memory allocated to tensors; 0 on the CPU.
  public var peakBytes: Int { Int(wb_device_peak_bytes(packed)) }
}
