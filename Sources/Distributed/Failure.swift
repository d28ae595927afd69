import WidebandCheckedInput

/// The failure of a collective operation.
struct Failure: Equatable {
  /// Whether time was up, and the connections are there.
  let isTimeout: Bool
  /// What happened, such as "connection reset".
  let reason: String

  /// Reads a message of libtorch.
  init(message: String, timeout: Duration) {
    isTimeout = message.contains("Timed out waiting") || message.contains("timeout caused pair closure")
    reason =
      if isTimeout {
        "no answer for \(timeout.text)"
      } else if message.contains("reset by peer") || message.contains("Broken pipe") {
        "connection reset"
      } else if message.contains("closed by peer") {
        "connection closed"
      } else {
        // Without the place in libtorch's source.
        printable(message.hasPrefix("[") ? message.drop { $0 != "]" }.dropFirst(2) : message[...], limit: 400)
      }
  }

  /// A failure as the store has it.
  init(text: String) {
    isTimeout = text.hasPrefix("timeout ")
    reason = String(text.drop { $0 != " " }.dropFirst())
  }

  /// The text for the store.
  var text: String { "\(isTimeout ? "timeout" : "connection") \(reason)" }
}

/// What is known after a failure.
struct Findings {
  /// The failure that a rank met first.
  let failure: Failure
  /// By rank, how many operations it has started; nil for a rank that does not answer. Nil if the store does not answer.
  let operations: [Int?]?

  /// The error on one of the ranks.
  func error(for rank: Int, hosts: [String], timeout: Duration) -> DistributedError {
    guard let operations else { return lost([0], hosts) }
    let silent = operations.indices.filter { operations[$0] == nil }
    if !silent.isEmpty { return lost(silent, hosts) }
    let most = operations.compactMap { $0 }.max() ?? 0
    let late = operations.indices.filter { operations[$0] ?? 0 < most }
    if failure.isTimeout, !late.isEmpty { return lost(late, hosts) }
    return .ranksLost([], "the connection between the ranks failed: \(failure.reason)")
  }

  private func lost(_ ranks: [Int], _ hosts: [String]) -> DistributedError {
    let names = list(ranks.prefix(8).map { rankName($0, hosts) }) + (ranks.count > 8 ? " and others" : "")
    return .ranksLost(
      ranks,
      failure.isTimeout
        ? "\(names) did not answer: \(failure.reason)"
        : "\(names) \(ranks.count == 1 ? "was" : "were") lost: \(failure.reason)")
  }
}
