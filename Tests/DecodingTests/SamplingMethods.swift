@testable import WidebandDecoding

extension SamplingOptions {
  /// Every method: greedy and sampled, with each filter.
  static let methods: [SamplingOptions] = {
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
