import WidebandCheckedInput
import WidebandReporting
import WidebandTraining

extension Report.Run {
  /// A run with the curves, speed and memory of its `metrics.jsonl`.
  public init(name: String, metrics lines: [MetricsFile.Line]) {
    self.init(name: name)
    func points(_ name: String) -> [Report.Point] {
      lines.compactMap { line in line.values[name].map { (line.step, $0) } }
    }
    trainingLoss = points("train/next_token")
    validationBitsPerByte = points("validation/bits_per_byte")
    validationLoss = points("validation/next_token").last?.value
    let speeds = points("tokens_per_second").map(\.value).filter(\.isFinite).sorted()
    tokensPerSecond = speeds.isEmpty ? nil : speeds[speeds.count / 2]
    peakMemory = points("peak_bytes").last.map { Int(clamping: $0.value) }
  }
}
