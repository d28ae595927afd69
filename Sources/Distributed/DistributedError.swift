/// The reason why the ranks of a distributed run cannot work together. The description is one sentence.
public enum DistributedError: Error, CustomStringConvertible, Sendable, Equatable {
  /// A flag or variable that describes the world is wrong, or contradicts another.
  case wrongWorld(String)
  /// The ranks did not meet: the master is not reached, a rank does not arrive.
  case notStarted(String)
  /// The ranks do not run the same thing.
  case ranksDiffer(String)
  /// A call does not fit the group: a tensor of the wrong size.
  case wrongUse(String)
  /// Another rank has failed in what all do together.
  case rankFailed(String)
  /// A rank has ended with an error of its own, which it has written: it would have it again. The group is of no use.
  case rankEnded(String)
  /// Ranks were lost, and the group is of no use. A run continues from its last checkpoint in new processes.
  case ranksLost([Int], String)

  /// The sentence.
  public var description: String {
    switch self {
    case .wrongWorld(let sentence), .notStarted(let sentence), .ranksDiffer(let sentence), .wrongUse(let sentence),
      .rankFailed(let sentence), .rankEnded(let sentence), .ranksLost(_, let sentence):
      sentence
    }
  }
}

/// A rank in a message: "rank 2 (node-b)".
func rankName(_ rank: Int, _ hosts: [String]) -> String {
  hosts.indices.contains(rank) ? "rank \(rank) (\(hosts[rank]))" : "rank \(rank)"
}

/// A list in a message: "a, b and c", "a, b, c, d, e, f, g and 20 others".
func list(_ items: [String]) -> String {
  let shown = items.count > 8 ? items.prefix(7) + ["\(items.count - 7) others"] : items
  guard let last = shown.last, shown.count > 1 else { return shown.first ?? "" }
  return shown.dropLast().joined(separator: ", ") + " and " + last
}

extension Duration {
  /// In seconds.
  var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }

  /// "100 s", "1.5 s".
  var text: String {
    let whole = Int(exactly: inSeconds)
    return whole.map { "\($0) s" } ?? "\(inSeconds) s"
  }
}
