import WidebandTorch

/// A substitute for CUDA graphs on the CPU: the captured work is executed at each replay, on the same tensors. Reading
/// tensors and creating them from numbers fail, as during a capture on a GPU.
public final class FakeCapturer {
  /// The number of captures.
  public private(set) var captures = 0
  /// The number of replays.
  public private(set) var runs = 0
  private let refuses: Bool

  /// A capturer.
  ///
  /// - Parameter refuses: whether all captures fail.
  public init(refuses: Bool = false) { self.refuses = refuses }

  /// `CUDAGraph.Capturer`.
  public func capture(_: Device, _ work: @escaping () -> Bool) -> (() throws -> Void)? {
    captures += 1
    guard !refuses else { return nil }
    return { [self] in
      runs += 1
      guard try CUDAGraph.$isCapturing.withValue(true, operation: { try withTorch(work) }) else {
        throw TorchError("the captured work refuses")
      }
    }
  }
}
