/// A tree of texts by their Unicode scalars. Children come after their parents.
struct ScalarTrie {
  private struct Entry {
    var children: [Unicode.Scalar: Int] = [:]
    var order: [Unicode.Scalar] = []
    var isEnd = false
  }

  private var entries = [Entry()]

  init(_ texts: some Sequence<String>) {
    for text in texts { insert(text) }
  }

  private mutating func insert(_ text: String) {
    var current = 0
    for scalar in text.unicodeScalars {
      if let child = entries[current].children[scalar] {
        current = child
        continue
      }
      entries[current].children[scalar] = entries.count
      entries[current].order.append(scalar)
      current = entries.count
      entries.append(Entry())
    }
    entries[current].isEnd = true
  }

  /// Nodes of one of the texts, in quotes.
  func nodes(in automaton: inout PushdownAutomaton, then next: NodeID) -> NodeID {
    let end = automaton.literal("\"", then: next)
    return nodes(in: &automaton) { automaton, entry, children in
      automaton.choice(
        (entry.isEnd ? [end] : []) + zip(entry.order, children).map { automaton.character($0, then: $1) })
    }
  }

  /// Nodes of any other text without escapes, in quotes.
  func complement(in automaton: inout PushdownAutomaton, then next: NodeID) -> NodeID {
    let end = automaton.literal("\"", then: next)
    let rest = automaton.star(then: end) { $0.scalar(in: PushdownAutomaton.plainScalars, then: $1) }
    return nodes(in: &automaton) { automaton, entry, children in
      let own = entry.order.map { $0.value...$0.value }
      let others = PushdownAutomaton.plainScalars.flatMap { subtract(own, from: $0) }
      // A text that needs an escape cannot be met.
      let known = zip(entry.order, children).filter { scalar, _ in
        PushdownAutomaton.plainScalars.contains { $0.contains(scalar.value) }
      }.map { automaton.literal(PushdownAutomaton.utf8($0.value), then: $1) }
      return automaton.choice((entry.isEnd ? [] : [end]) + known + [automaton.scalar(in: others, then: rest)])
    }
  }

  /// Nodes of every entry, children first, so that long texts need no recursion.
  private func nodes(
    in automaton: inout PushdownAutomaton,
    _ make: (inout PushdownAutomaton, Entry, _ children: [NodeID]) -> NodeID
  ) -> NodeID {
    var nodes = Array(repeating: PushdownAutomaton.end, count: entries.count)
    for (index, entry) in entries.enumerated().reversed() {
      nodes[index] = make(&automaton, entry, entry.order.compactMap { entry.children[$0] }.map { nodes[$0] })
    }
    return automaton.literal("\"", then: nodes[0])
  }
}
