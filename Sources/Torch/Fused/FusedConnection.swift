import WidebandCTorch

/// A hyper-connection through the fused kernels: a read, and its pending write while the sublayer runs.
public struct FusedConnection {
  /// The sublayer's input, `[..., D]`.
  public let input: Tensor
  /// The pending write; nil after a failure.
  private let pending: Handle?

  /// The weights of a connection in the kernels' order; the last five are nil for a static one.
  public struct Weights {
    let tensors: [Tensor?]

    /// `[n, m+n]`, `[n, m]`, `[m+n, C]`, `[m, C]`, `[n, m+n]`, `[n, m]`, `[C]`.
    public init(
      staticReadCarry: Tensor, staticWrite: Tensor, dynamicReadCarry: Tensor? = nil, dynamicWrite: Tensor? = nil,
      readCarryScale: Tensor? = nil, writeScale: Tensor? = nil, gain: Tensor? = nil
    ) {
      tensors = [staticReadCarry, staticWrite, dynamicReadCarry, dynamicWrite, readCarryScale, writeScale, gain]
    }

    fileprivate func areSupported(on device: Device) -> Bool {
      tensors.allSatisfy { $0.map { $0.dtype == .float32 && $0.device == device && !$0.isEmpty } ?? true }
    }

    /// Without the extended lifetime an optimized build may release the tensors before they are read.
    fileprivate func withPointers<Result>(_ body: ([OpaquePointer?]) -> Result) -> Result {
      withExtendedLifetime(tensors) { body(tensors.map { $0?.pointer }) }
    }
  }

  /// Reads a sublayer's input out of a state `[..., n, C]`; nil where there is no kernel for it.
  public init?(reading state: Tensor, _ weights: Weights, epsilon: Double) {
    guard Kernels.selected == .fused, let source = state.pointer, weights.areSupported(on: state.device),
      weights.withPointers({ wb_connection_is_supported($0, source) })
    else { return nil }
    var write: OpaquePointer?
    let result = weights.withPointers { wb_connection_read($0, epsilon, source, &write) }
    input = Tensor(result: result, of: "connection_read(\(state.dtype)\(state.shape))")
    pending = Handle(write, release: wb_pending_write_release)
  }

  /// Does a pending write and reads from the state after it, in one pass over both; nil where the write has been done
  /// already or there is no kernel for it.
  public init?(reading write: Write, _ weights: Weights, epsilon: Double) {
    guard Kernels.selected == .fused, write.written == nil, let previous = write.pending?.pointer,
      let source = write.output.pointer, weights.areSupported(on: write.output.device)
    else { return nil }
    var next: OpaquePointer?
    let result = weights.withPointers { wb_connection_write_read(previous, source, $0, epsilon, &next) }
    input = Tensor(
      result: result, of: "connection_write_read(\(write.output.dtype)\(write.output.shape))")
    pending = Handle(next, release: wb_pending_write_release)
  }

  /// The pending write of the sublayer's `output` `[..., D]`.
  public func write(_ output: Tensor) -> Write { Write(pending, output) }

  /// A sublayer's output and its pending write to the state.
  public final class Write {
    fileprivate let pending: Handle?
    fileprivate let output: Tensor
    fileprivate private(set) var written: Tensor?

    fileprivate init(_ pending: Handle?, _ output: Tensor) {
      self.pending = pending
      self.output = output
    }

    /// The state `[..., n, C]` after the sublayer; the first call does the write.
    public var state: Tensor {
      if let written { return written }
      guard let write = pending?.pointer, let source = output.pointer else { return .empty }
      let state = Tensor(
        result: wb_connection_write(write, source), of: "connection_write(\(output.dtype)\(output.shape))")
      written = state
      return state
    }
  }
}
