@testable import Decoding

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
