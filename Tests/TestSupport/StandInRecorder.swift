import Torch

/// A processor in the place of a GPU: what would be recorded is done anew each time, on the same tensors. What reads
/// tensors or makes them of numbers fails as on a GPU.
public final class StandInRecorder {
  /// How often something was to be recorded.
  public private(set) var records = 0
  /// How often what was recorded has run.
  public private(set) var runs = 0
  private let refuses: Bool

  /// - Parameter refuses: whether nothing can be recorded.
  public init(refuses: Bool = false) { self.refuses = refuses }

  /// `RecordedWork.Recorder`.
  public func record(_: Device, _ work: @escaping () -> Bool) -> (() throws -> Void)? {
    records += 1
    guard !refuses else { return nil }
    return { [self] in
      runs += 1
      guard try RecordedWork.$isRecording.withValue(true, operation: { try withTorch(work) }) else {
        throw TorchError("what was recorded refuses")
      }
    }
  }
}
