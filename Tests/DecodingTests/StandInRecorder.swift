import Testing
import Torch

@testable import Decoding

/// A processor in the place of a GPU: what would be recorded is done anew each time, on the same tensors. What reads tensors
/// or makes them of numbers fails as on a GPU.
final class StandInRecorder {
  private(set) var records = 0
  private(set) var runs = 0
  var refuses = false

  func record(_: Device, _ work: @escaping () -> Bool) -> (() throws -> Void)? {
    records += 1
    guard !refuses else { return nil }
    return { [self] in
      runs += 1
      try RecordedWork.$isRecording.withValue(true) { try withTorch { #expect(work()) } }
    }
  }
}

extension SamplingOptions {
  /// Every way of choosing: greedy and drawn, with each filter.
  static let ways: [SamplingOptions] = {
    var (repeating, penalized, filtered) = (SamplingOptions(), SamplingOptions.greedy, SamplingOptions())
    repeating.repetitionPenalty = 1.4
    penalized.repetitionPenalty = 1.4
    filtered.temperature = 0.8
    filtered.topK = 30
    filtered.topP = 0.95
    filtered.minP = 0.01
    return [.greedy, SamplingOptions(), repeating, penalized, filtered]
  }()
}
