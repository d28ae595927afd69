import CTorch

/// Where a tensor lies and its operators run.
public struct Device: Hashable, Sendable, CustomStringConvertible {
  /// The kinds of device that can be asked for. Raw values are libtorch's own numbers.
  public enum Kind: Int64, Sendable {
    case cpu = 0
    case cuda = 1
    case mps = 13
  }

  /// Processor, CUDA GPU or Apple GPU.
  public let kind: Kind
  /// Which one of its kind, from 0.
  public let index: Int

  /// The processor and its memory.
  public static let cpu = Device(kind: .cpu, index: 0)

  init(kind: Kind, index: Int) {
    self.kind = kind
    self.index = index
  }

  /// The device named "cpu", "cuda", "cuda:1" or "mps", made ready for use.
  ///
  /// - Throws: `TorchError` for a name that is none of these and for a device that this machine does not have.
  public init(_ name: String) throws {
    let parts = name.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let index = parts.count == 2 ? Int32(parts[1]).map(Int.init) : 0
    switch (parts.first, index) {
    case ("cpu", .some(0)) where parts.count == 1: self = .cpu
    case ("cuda", .some(let index)) where index >= 0 && index < 128: self.init(kind: .cuda, index: index)
    case ("mps", .some(0)) where parts.count == 1: self.init(kind: .mps, index: 0)
    default: throw TorchError("unknown device '\(name)': expected cpu, cuda, cuda:N or mps")
    }
    if !wb_device_prepare(packed) {
      throw TorchError("device '\(name)' is not available: \(lastError())")
    }
  }

  init(packed: Int64) {
    self.init(kind: Kind(rawValue: packed & 0xff) ?? .cpu, index: Int(packed >> 32))
  }

  var packed: Int64 { Int64(index) << 32 | kind.rawValue }

  /// "cpu", "cuda:0", "mps".
  public var description: String {
    switch kind {
    case .cpu: "cpu"
    case .cuda: "cuda:\(index)"
    case .mps: "mps"
    }
  }

  /// The type that activations have by default: bfloat16 on a CUDA GPU, float32 elsewhere.
  public var computeDType: DType { kind == .cuda ? .bfloat16 : .float32 }

  /// The type in which activations meet weights of a type: the same, but float32 on the processor, whose kernels widen
  /// smaller weights where they are read.
  public func activations(for weights: DType) -> DType {
    kind == .cpu && weights.size < DType.float32.size ? .float32 : weights
  }

  /// Waits until the device has finished all work given to it, so that a clock read afterwards means something.
  public func synchronize() throws {
    if !wb_device_synchronize(packed) { throw TorchError("synchronize \(self): \(lastError())") }
  }

  /// The most bytes of the device's own memory that tensors have held at once; 0 on the processor.
  public var peakBytes: Int { Int(wb_device_peak_bytes(packed)) }
}
