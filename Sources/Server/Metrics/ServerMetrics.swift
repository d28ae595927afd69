import Foundation
import WidebandServing

/// What `GET /metrics` reports, in the text format of Prometheus. The lock guards the counters.
final class ServerMetrics: @unchecked Sendable {
  private let lock = NSLock()
  private var requests: [Endpoint: Int] = [:]
  private var firstToken = Histogram([0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60])
  private var interToken = Histogram([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 1])
  private var queueTime = Histogram([0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300])
  private var duration = Histogram([0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300])

  private struct Endpoint: Hashable {
    let path: String
    let status: Int
  }

  /// Counts a response.
  ///
  /// - Parameter path: the pattern of its route, not what the client sent.
  func count(path: String, status: Int) {
    lock.withLock { requests[Endpoint(path: path, status: status), default: 0] += 1 }
  }

  /// Counts a sequence that has ended.
  func count(_ end: FinishedSequence) {
    lock.withLock {
      queueTime.observe(end.queuedSeconds)
      firstToken.observe(end.firstTokenSeconds)
      duration.observe(end.totalSeconds)
    }
  }

  /// Counts tokens that came together, some time after earlier ones.
  func count(tokens: Int, after seconds: Double) {
    lock.withLock { interToken.observe(seconds / Double(tokens), times: tokens) }
  }

  /// All metrics.
  func text(_ engine: ServingStatistics) -> String {
    var page = MetricsPage()
    page.add(
      "sequences", "gauge", "Sequences in the engine, by what happens to them.", label: "state",
      [
        ("waiting", engine.waiting), ("prefilling", engine.prefilling), ("running", engine.running),
      ])
    page.add(
      "cycle_phase_sequences", "gauge", "Sequences that are decoded, by the phase of their cycle.", label: "phase",
      engine.phases.enumerated().map { ("\($0)", $1) })
    page.add("cache_positions", "gauge", "Positions of key/value memory in use.", engine.cachePositions)
    page.add("cache_capacity_positions", "gauge", "Positions of key/value memory.", engine.cacheCapacity)
    page.add("prefix_cache_bytes", "gauge", "Bytes of the prefix cache in use.", engine.prefixCacheBytes)
    page.add(
      "prefix_queried_tokens_total", "counter", "Prompt tokens looked up in the prefix cache.",
      engine.prefixQueriedTokens)
    page.add(
      "prefix_hit_tokens_total", "counter", "Prompt tokens found in the prefix cache.", engine.prefixHitTokens)
    page.add("prompt_tokens_total", "counter", "Prompt tokens processed.", engine.promptTokens)
    page.add("generated_tokens_total", "counter", "Tokens generated.", engine.generatedTokens)
    page.add("decode_steps_total", "counter", "Decoding steps.", engine.decodeSteps)
    page.add("decoded_sequences_total", "counter", "Sequences in decoding steps.", engine.decodedSequences)
    page.add(
      "alignment_steps_total", "counter", "Steps that a sequence waited for the others' cycle head.",
      engine.alignmentSteps)
    page.add("drafted_tokens_total", "counter", "Tokens drafted.", engine.draftedTokens)
    page.add("accepted_draft_tokens_total", "counter", "Drafted tokens that were accepted.", engine.acceptedTokens)
    page.add("prefill_seconds_total", "counter", "Seconds of computing in prompts.", engine.prefillSeconds)
    page.add("decode_seconds_total", "counter", "Seconds of computing in decoding steps.", engine.decodeSeconds)
    page.add(
      "sequences_ended_total", "counter", "Sequences that ended, by reason.", label: "reason",
      [
        ("stop", engine.stopped), ("length", engine.reachedLength), ("cancelled", engine.cancelled),
        ("failed", engine.failed),
      ])
    lock.withLock {
      let counts = requests.sorted { ($0.key.path, $0.key.status) < ($1.key.path, $1.key.status) }
      page.add(
        "requests_total", "counter", "Responses, by route and status.",
        counts.map { endpoint, count in
          ("{path=\"\(endpoint.path)\",status=\"\(endpoint.status)\"}", count)
        })
      page.add("time_to_first_token_seconds", "From a request's arrival to its first token.", firstToken)
      page.add("inter_token_latency_seconds", "Between two tokens of a sequence.", interToken)
      page.add("queue_time_seconds", "From a request's arrival until the engine begins with it.", queueTime)
      page.add("sequence_duration_seconds", "From a request's arrival to its last token.", duration)
    }
    return page.text
  }
}

/// Metrics in the text format.
private struct MetricsPage {
  private(set) var text = ""

  /// Adds a metric whose samples have different labels.
  ///
  /// - Parameter samples: the labels in braces, and the value.
  mutating func add(_ name: String, _ kind: String, _ help: String, _ samples: [(labels: String, value: Int)]) {
    begin(name, kind, help)
    for (labels, value) in samples { text += "wideband_\(name)\(labels) \(value)\n" }
  }

  mutating func add(
    _ name: String, _ kind: String, _ help: String, label: String, _ samples: [(value: String, count: Int)]
  ) {
    add(name, kind, help, samples.map { ("{\(label)=\"\($0.value)\"}", $0.count) })
  }

  mutating func add(_ name: String, _ kind: String, _ help: String, _ value: some Numeric) {
    begin(name, kind, help)
    text += "wideband_\(name) \(value)\n"
  }

  mutating func add(_ name: String, _ help: String, _ histogram: Histogram) {
    begin(name, "histogram", help)
    for line in histogram.lines("wideband_\(name)") { text += line + "\n" }
  }

  private mutating func begin(_ name: String, _ kind: String, _ help: String) {
    text += "# HELP wideband_\(name) \(help)\n# TYPE wideband_\(name) \(kind)\n"
  }
}

/// Counts of observed values, by upper bounds.
struct Histogram: Sendable {
  private let bounds: [Double]
  private var counts: [Int]
  private var sum = 0.0

  /// - Parameter bounds: upper bounds in ascending order.
  init(_ bounds: [Double]) {
    self.bounds = bounds
    counts = Array(repeating: 0, count: bounds.count + 1)
  }

  /// Counts a value.
  ///
  /// - Parameter times: how often it occurred.
  mutating func observe(_ value: Double, times: Int = 1) {
    counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += times
    sum += value * Double(times)
  }

  /// The lines of the text format.
  func lines(_ name: String) -> [String] {
    var total = 0
    var lines = zip(bounds.map { "\($0)" } + ["+Inf"], counts).map { bound, count in
      total += count
      return "\(name)_bucket{le=\"\(bound)\"} \(total)"
    }
    lines += ["\(name)_sum \(sum)", "\(name)_count \(total)"]
    return lines
  }
}
