import WidebandCheckedInput

/// The failure of a collective operation, or the end of a rank by an error of its own.
struct Failure: Equatable {
  enum Kind: Equatable {
    /// Time was up, and the connections are there.
    case timeout
    /// A connection failed.
    case connection
    /// A rank said that it ends.
    case end(rank: Int)
  }

  let kind: Kind
  /// What happened, such as "connection reset".
  let reason: String

  /// Reads a message of libtorch.
  init(message: String, timeout: Duration) {
    kind =
      message.contains("Timed out waiting") || message.contains("timeout caused pair closure") ? .timeout : .connection
    reason =
      if kind == .timeout {
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

  /// The end of a rank.
  init(endOf rank: Int, reason: String) { (kind, self.reason) = (.end(rank: rank), printable(reason, limit: 400)) }

  /// A failure as the store has it.
  init(text: String) {
    let parts = text.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
    kind = parts[0] == "timeout" ? .timeout : Int(parts[0]).map { .end(rank: $0) } ?? .connection
    reason = parts.count > 1 ? String(parts[1]) : ""
  }

  /// The text for the store: a word or the rank that ends, and the reason.
  var text: String {
    switch kind {
    case .timeout: "timeout \(reason)"
    case .connection: "connection \(reason)"
    case .end(let rank): "\(rank) \(reason)"
    }
  }
}

/// What is known after a failure.
struct Findings {
  /// The failure that a rank met first.
  let failure: Failure
  /// By rank, the operations it has started; nil for a rank that does not answer. Nil if the store does not answer.
  let operations: [Operations?]?

  /// The error, with the names of the hosts of all ranks.
  func error(hosts: [String], timeout: Duration) -> DistributedError {
    if case .end(let ended) = failure.kind {
      return .rankEnded("\(rankName(ended, hosts)) ended: \(failure.reason)")
    }
    guard let operations else { return lost([0], hosts, timeout) }
    let silent = operations.indices.filter { operations[$0] == nil }
    if !silent.isEmpty { return lost(silent, hosts, timeout) }
    let answers = operations.compactMap(\.self)
    if let sentence = Operations.difference(in: answers, hosts: hosts) { return .ranksDiffer(sentence) }
    let most = answers.map(\.count).max() ?? 0
    let late = answers.indices.filter { answers[$0].count < most }
    if failure.kind == .timeout, !late.isEmpty { return lost(late, hosts, timeout) }
    return .ranksLost([], "the connection between the ranks failed: \(failure.reason)")
  }

  private func lost(_ ranks: [Int], _ hosts: [String], _ timeout: Duration) -> DistributedError {
    let names = list(ranks.map { rankName($0, hosts) })
    return .ranksLost(
      ranks,
      failure.kind == .timeout
        ? "\(names) did not answer for \(timeout.text)"
        : "\(names) \(ranks.count == 1 ? "was" : "were") lost: \(failure.reason)")
  }
}
