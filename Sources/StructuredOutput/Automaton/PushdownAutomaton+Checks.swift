extension PushdownAutomaton {
  /// Computes ``heights``.
  ///
  /// They start from "cannot end". A node is computed again when one that it depends on has fallen; each falls at most
  /// ``JSONGrammarLimits/nesting`` times.
  mutating func computeHeights() {
    heights = Array(repeating: Self.unreachable, count: nodes.count)
    let dependents = dependents()
    var pending = Array(dependents.indices.reversed())
    var isPending = Array(repeating: true, count: nodes.count)
    while let id = pending.popLast() {
      isPending[id] = false
      let height = height(of: nodes[id])
      guard height < heights[id] else { continue }
      heights[id] = height
      for dependent in dependents[id] where !isPending[dependent] {
        isPending[dependent] = true
        pending.append(dependent)
      }
    }
  }

  /// For each node, those whose height depends on its own.
  private func dependents() -> [[Int]] {
    var dependents: [[Int]] = Array(repeating: [], count: nodes.count)
    for (id, node) in nodes.enumerated() {
      switch node {
      case .end: break
      case .bytes(_, let next): dependents[Int(next)].append(id)
      case .branch(let range), .choice(let range): for node in self[range] { dependents[Int(node)].append(id) }
      case .call(let rule, _, let next):
        dependents[Int(rules[Int(rule)])].append(id)
        dependents[Int(next)].append(id)
      case .loop(let body, _, _, let next):
        dependents[Int(body)].append(id)
        dependents[Int(next)].append(id)
      }
    }
    return dependents
  }

  private func height(of node: Node) -> Int32 {
    switch node {
    case .end: 0
    case .bytes(_, let next): heights[Int(next)]
    case .branch(let range), .choice(let range):
      self[range].reduce(Self.unreachable) { min($0, heights[Int($1)]) }
    case .call(let rule, let nests, let next): max(needed(by: rule, nests: nests), heights[Int(next)])
    case .loop(let body, let minimum, _, let next):
      minimum == 0 ? heights[Int(next)] : max(heights[Int(body)], heights[Int(next)])
    }
  }

  private func needed(by rule: RuleID, nests: Bool) -> Int32 {
    let height = heights[Int(rules[Int(rule)])] + (nests ? 1 : 0)
    return height > JSONGrammarLimits.nesting ? Self.unreachable : height
  }

  /// A rule that calls itself before it takes a byte, if there is one.
  func leftRecursiveRule() -> RuleID? {
    let calls = rules.map { callsBeforeBytes(from: $0) }
    // Rules without such calls are removed until none are left, or only cycles and what leads to them.
    var open = calls.map(\.count)
    var callers: [[RuleID]] = Array(repeating: [], count: rules.count)
    for (rule, callees) in calls.enumerated() {
      for callee in callees { callers[Int(callee)].append(RuleID(rule)) }
    }
    var finished = open.indices.filter { open[$0] == 0 }
    while let rule = finished.popLast() {
      for caller in callers[rule] {
        open[Int(caller)] -= 1
        if open[Int(caller)] == 0 { finished.append(Int(caller)) }
      }
    }
    return open.firstIndex { $0 > 0 }.map { RuleID($0) }
  }

  private func callsBeforeBytes(from start: NodeID) -> Set<RuleID> {
    var calls: Set<RuleID> = []
    var visited: Set<NodeID> = []
    var pending = [start]
    while let id = pending.popLast() {
      guard visited.insert(id).inserted else { continue }
      switch nodes[Int(id)] {
      case .end, .bytes, .branch: break
      case .choice(let range): pending += self[range]
      case .call(let rule, _, _): calls.insert(rule)
      case .loop(let body, let minimum, _, let next):
        pending.append(body)
        if minimum == 0 { pending.append(next) }
      }
    }
    return calls
  }
}
