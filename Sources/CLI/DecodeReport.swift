import Foundation
import Wideband

/// The report of `wideband bench decode`: median times, compared with the bounds of the machine.
struct DecodeReport: Encodable {
  let prompt, tokens, threads, runs: Int
  let batch: Int
  let cycle: Int?
  let weights: String
  let prefillSeconds, firstTokenSeconds: Double
  /// Seconds per token of all sequences, the median over the whole cycles of all runs.
  let tokenSeconds: Double
  /// Tokens per second of all sequences in the median run.
  let tokensPerSecond: Double
  let prefillTokensPerSecond: Double
  let bytesPerToken: Double
  /// The bandwidth of reading memory in bytes per second, the median over runs.
  let readBandwidth: Double
  /// The bandwidth at which tokens read their weights, as a fraction of the run's read bandwidth; the median over runs.
  let shareOfBound: Double
  let productPeak: Double
  /// The speed of prefill as a fraction of the speed of large matrix products.
  let prefillShare: Double
  let peakBytes: Int
  /// The bound of the speed-up over ordinary decoding, by the weights that are read.
  let speedUpBound: Double?

  private let reading: String

  /// The machine's peak: floating-point operations per second of large matrix products.
  struct Machine {
    let productPeak: Double
    let threads: Int
  }

  init(
    _ benchmark: DecodeBenchmark, _ times: [DecodeBenchmark.Times], on machine: Machine, weights: String, peakBytes: Int
  ) throws {
    let cycle = benchmark.cycle
    let configuration = benchmark.model.configuration
    let cost = try DirectDecodingCost(benchmark.model, cycle: cycle, sequences: benchmark.sequences)
    (prompt, tokens, batch, runs) = (benchmark.prompt, benchmark.tokens, benchmark.sequences, times.count)
    (self.cycle, self.weights, self.peakBytes, threads) = (cycle, weights, peakBytes, machine.threads)
    let sequences = Double(benchmark.sequences)
    prefillSeconds = Self.median(times.map(\.prefill))
    firstTokenSeconds = Self.median(times.map(\.firstToken))
    prefillTokensPerSecond = sequences * Double(prompt) / prefillSeconds
    tokenSeconds = Self.median(times.flatMap { Self.cycles($0.steps, of: cycle ?? 1) }) / sequences
    tokensPerSecond = sequences * Double(tokens) / Self.median(times.map { $0.steps.reduce(0, +) })
    bytesPerToken = cost.bytesPerToken
    readBandwidth = Self.median(times.map(\.readBandwidth))
    let bytes = bytesPerToken
    shareOfBound = Self.median(
      times.map { run in
        bytes * sequences / Self.median(Self.cycles(run.steps, of: cycle ?? 1)) / run.readBandwidth
      })
    productPeak = machine.productPeak
    let operations = sequences * ModelCost.operations(ofPrompt: prompt, configuration)
    prefillShare = operations / prefillSeconds / productPeak
    speedUpBound = cycle.map { _ in cost.bound }
    reading = DirectReport.reading(cost, at: tokensPerSecond, isDirect: cycle != nil, configuration)
  }

  /// Seconds per step of each whole cycle, or of all steps if they are less than a cycle.
  private static func cycles(_ steps: [Double], of length: Int) -> [Double] {
    let length = min(length, steps.count)
    return (0..<(steps.count / length)).map { steps[($0 * length)...].prefix(length).reduce(0, +) / Double(length) }
  }

  private static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
  }

  private enum CodingKeys: String, CodingKey {
    case prompt, tokens, threads, runs, batch, cycle, weights
    case prefillSeconds = "prefill_s", firstTokenSeconds = "first_token_s", tokenSeconds = "token_s"
    case tokensPerSecond = "tokens_per_s", prefillTokensPerSecond = "prefill_tokens_per_s"
    case bytesPerToken = "bytes_per_token", readBandwidth = "read_bandwidth", shareOfBound = "share_of_bound"
    case productPeak = "product_peak", prefillShare = "prefill_share", peakBytes = "peak_bytes"
    case speedUpBound = "speed_up_bound"
  }

  /// The report as readable lines.
  var text: String {
    var lines = [
      String(
        format: "%@ of %d tokens in %.3f s, %.0f tokens/s, %.1f %% of large products' %.0f GFLOP/s",
        batch == 1 ? "prompt" : "\(batch) prompts", prompt, prefillSeconds, prefillTokensPerSecond, 100 * prefillShare,
        productPeak / 1e9),
      String(
        format: "first token after %.3f s, then %.1f tokens/s, %.2f ms a token", firstTokenSeconds, tokensPerSecond,
        1000 * tokenSeconds),
      reading,
      String(
        format: "%.1f %% of what can be read: %.1f GB/s", 100 * shareOfBound, readBandwidth / 1e9),
    ]
    if let speedUpBound {
      lines.append(String(format: "by the weights at most %.2f times as fast as ordinary decoding", speedUpBound))
    }
    return (lines + ["\(peakBytes / 1_000_000) MB at most"]).joined(separator: "\n")
  }
}
