import WidebandCheckedInput

extension ProcessGroup {
  /// Checks that facts are the same on all ranks, such as the recipe's hash and libtorch's version.
  ///
  /// - Throws: `DistributedError.ranksDiffer`, the same on all ranks, that names the first fact that differs and a rank
  ///   that differs from the majority, or from rank 0 where there is none.
  public func requireSame(_ facts: [(name: String, value: String)]) throws {
    // Separators of fields and records that no fact has.
    let text = facts.map { "\($0.name)\u{1F}\($0.value)" }.joined(separator: "\u{1E}")
    let all = try allGather(text).map(Self.facts(in:))
    // A rank of another version may have other facts.
    var names: [String] = []
    for name in all.flatMap({ $0.map(\.name) }) where !names.contains(name) { names.append(name) }
    for name in names {
      let values = all.map { facts in facts.first { $0.name == name }?.value }
      if let sentence = Self.difference(in: values, of: name, hosts: hosts) {
        throw DistributedError.ranksDiffer(sentence)
      }
    }
  }

  private static func facts(in text: String) -> [(name: String, value: String)] {
    text.split(separator: "\u{1E}").map { fact in
      let parts = fact.split(separator: "\u{1F}", maxSplits: 1, omittingEmptySubsequences: false)
      return (String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
    }
  }

  /// The sentence about the rank that is not like the others; nil if all are the same.
  static func difference(in values: [String?], of name: String, hosts: [String]) -> String? {
    let counts = Dictionary(grouping: values) { $0 }.mapValues(\.count)
    let most = counts.values.max() ?? 0
    guard counts.count > 1, let model = values.firstIndex(where: { counts[$0] == most }),
      let odd = values.firstIndex(where: { $0 != values[model] })
    else { return nil }
    func text(_ value: String?) -> String { value.map { quoted($0) } ?? "not given" }
    let oddCount = values.count - most
    return
      "\(printable(name)) of \(rankName(odd, hosts)) is \(text(values[odd])): expected \(text(values[model])), as on "
      + (most == 1 ? rankName(model, hosts) : "\(rankName(model, hosts)) and \(most - 1) other\(most == 2 ? "" : "s")")
      + (oddCount == 1 ? "" : "; \(oddCount) ranks differ")
  }
}
