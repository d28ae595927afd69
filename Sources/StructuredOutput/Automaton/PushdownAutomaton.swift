/// The index of a node of a ``PushdownAutomaton``.
typealias NodeID = Int32

/// The index of a rule: a node that is entered by calls, and whose paths end at ``PushdownAutomaton/end``.
typealias RuleID = Int32

/// A position in the grammar and what may follow.
enum Node: Sendable {
  /// The rule or the body of a loop ends.
  case end
  /// One byte of a set.
  case bytes(set: Int32, then: NodeID)
  /// One byte of any of several sets, each with its own successor: a choice of nodes of bytes alone.
  case branch(Range<Int32>)
  /// Any of several nodes, in the order of the schema.
  case choice(Range<Int32>)
  /// A rule, and then a node. `nests` is true for objects and lists, which ``JSONGrammarLimits/nesting`` bounds.
  case call(RuleID, nests: Bool, then: NodeID)
  /// A body, `minimum` to `maximum` times, and then a node. The body takes at least one byte.
  case loop(body: NodeID, minimum: Int32, maximum: Int32?, then: NodeID)
}

/// A nondeterministic automaton over bytes with a stack: the compiled form of a schema.
///
/// Nodes name what follows them, so a grammar is built from its end to its start. Loops count in the stack, so that
/// their size does not depend on the count.
struct PushdownAutomaton: Sendable {
  static let end: NodeID = 0

  private(set) var nodes: [Node] = [.end]
  private(set) var alternatives: [NodeID] = []
  private(set) var sets: [ByteSet] = []
  private(set) var rules: [NodeID] = []
  /// The first node.
  var start = PushdownAutomaton.end
  /// How many levels of nesting the rest of a node's rule needs at least; ``unreachable`` if it cannot end.
  var heights: [Int32] = [0]

  static let unreachable: Int32 = 1 << 20

  /// The body of strings: one character. All strings share it.
  var character: NodeID?

  private var setIDs: [ByteSet: Int32] = [:]
  private var byteNodes: [ByteNode: NodeID] = [:]

  private struct ByteNode: Hashable {
    let set: Int32
    let next: NodeID
  }

  /// Whether nodes were lost because there are too many. The automaton is not to be used then.
  var isFull: Bool { nodes.count + alternatives.count >= JSONGrammarLimits.nodes }

  /// The nodes of a choice.
  subscript(choice: Range<Int32>) -> ArraySlice<NodeID> {
    alternatives[Int(choice.lowerBound)..<Int(choice.upperBound)]
  }

  private mutating func add(_ node: Node) -> NodeID {
    guard !isFull else { return Self.end }
    nodes.append(node)
    return NodeID(nodes.count - 1)
  }

  /// A node of one byte. Equal nodes are the same one.
  mutating func bytes(_ set: ByteSet, then next: NodeID) -> NodeID {
    let id = setIDs[set] ?? Int32(sets.count)
    if id == sets.count {
      sets.append(set)
      setIDs[set] = id
    }
    let key = ByteNode(set: id, next: next)
    if let node = byteNodes[key] { return node }
    let node = add(.bytes(set: id, then: next))
    byteNodes[key] = node
    return node
  }

  /// Nodes of a fixed text.
  mutating func literal(_ text: some BidirectionalCollection<UInt8>, then next: NodeID) -> NodeID {
    text.reversed().reduce(next) { bytes(ByteSet($1...$1), then: $0) }
  }

  /// Nodes of a fixed text.
  mutating func literal(_ text: String, then next: NodeID) -> NodeID { literal(text.utf8, then: next) }

  /// A node with alternatives. Without any, nothing can follow.
  mutating func choice(_ nodes: [NodeID]) -> NodeID {
    if nodes.count == 1 { return nodes[0] }
    if let bytes = bytesAlone(nodes) { return add(.branch(append(bytes))) }
    return add(.choice(append(nodes)))
  }

  private mutating func append(_ choice: [NodeID]) -> Range<Int32> {
    let first = Int32(alternatives.count)
    if !isFull { alternatives += choice }
    return first..<Int32(alternatives.count)
  }

  /// The nodes with their branches instead of them; nil if not all of them take a byte, or for very many.
  private func bytesAlone(_ choice: [NodeID]) -> [NodeID]? {
    var bytes: [NodeID] = []
    for id in choice {
      switch nodes[Int(id)] {
      case .bytes: bytes.append(id)
      case .branch(let range): bytes += self[range]
      default: return nil
      }
      guard bytes.count <= Self.maximumBranches else { return nil }
    }
    return bytes
  }

  private static let maximumBranches = 64

  /// A node, or what follows it.
  mutating func optional(_ node: NodeID, or next: NodeID) -> NodeID { choice([node, next]) }

  /// A body any number of times. The body is given its successor, and may be empty.
  mutating func star(then next: NodeID, _ body: (inout Self, NodeID) -> NodeID) -> NodeID {
    guard !isFull else { return Self.end }
    let range = append([next, next])
    let node = add(.choice(range))
    let first = body(&self, node)
    alternatives[Int(range.lowerBound)] = first
    return node
  }

  /// A body that ends at ``end`` and takes at least one byte, a number of times.
  mutating func loop(_ body: NodeID, _ minimum: Int, _ maximum: Int?, then next: NodeID) -> NodeID {
    if let maximum, maximum < minimum { return choice([]) }
    if maximum == 0 { return next }
    let bound = Int(Int32.max) - 1
    return add(
      .loop(
        body: body, minimum: Int32(min(minimum, bound)), maximum: maximum.map { Int32(min($0, bound)) }, then: next))
  }

  /// A new rule, whose start is set later.
  mutating func rule() -> RuleID {
    rules.append(Self.end)
    return RuleID(rules.count - 1)
  }

  /// Sets the start of a rule.
  mutating func define(_ rule: RuleID, as node: NodeID) { rules[Int(rule)] = node }

  /// A call of a rule.
  mutating func call(_ rule: RuleID, nests: Bool = false, then next: NodeID) -> NodeID {
    add(.call(rule, nests: nests, then: next))
  }
}
