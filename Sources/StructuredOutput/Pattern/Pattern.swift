/// A regular expression as a tree.
indirect enum Pattern {
  /// One scalar out of some ranges.
  case scalar([ClosedRange<UInt32>])
  case sequence([Pattern])
  case alternatives([Pattern])
  case repeated(Pattern, minimum: Int, maximum: Int?)
  /// `^` and `$`.
  case start, end

  /// Whether it matches the empty text.
  var isNullable: Bool {
    switch self {
    case .scalar: false
    case .sequence(let parts): parts.allSatisfy(\.isNullable)
    case .alternatives(let branches): branches.contains(where: \.isNullable)
    case .repeated(let body, let minimum, _): minimum == 0 || body.isNullable
    case .start, .end: true
    }
  }

  /// Whether it has `^` or `$`.
  var hasAnchor: Bool {
    switch self {
    case .scalar: false
    case .sequence(let parts), .alternatives(let parts): parts.contains(where: \.hasAnchor)
    case .repeated(let body, _, _): body.hasAnchor
    case .start, .end: true
    }
  }
}

/// Why a pattern cannot be used: the rest of a sentence about it.
struct PatternError: Error {
  let reason: String

  init(_ reason: String) { self.reason = reason }
}

extension PushdownAutomaton {
  /// Nodes of a string in quotes with a match of a pattern anywhere in it, as JSON Schema says.
  mutating func string(matching source: String, then next: NodeID) throws(PatternError) -> NodeID {
    var parser = PatternParser(source)
    let pattern = try parser.parse()
    let branches = if case .alternatives(let branches) = pattern { branches } else { [pattern] }
    let end = literal("\"", then: next)
    var nodes: [NodeID] = []
    for branch in branches { nodes.append(try self.branch(branch, then: end)) }
    return literal("\"", then: choice(nodes))
  }

  private mutating func branch(_ branch: Pattern, then end: NodeID) throws(PatternError) -> NodeID {
    var parts = if case .sequence(let parts) = branch { parts } else { [branch] }
    var isAtStart = false
    var isAtEnd = false
    if case .start? = parts.first {
      parts.removeFirst()
      isAtStart = true
    }
    if case .end? = parts.last {
      parts.removeLast()
      isAtEnd = true
    }
    guard !parts.contains(where: \.hasAnchor) else { throw PatternError("with '^' or '$' within it") }
    let rest = isAtEnd ? end : star(then: end) { $0.anyCharacter(then: $1) }
    let node = match(.sequence(parts), then: rest)
    return isAtStart ? node : star(then: node) { $0.anyCharacter(then: $1) }
  }

  private mutating func match(_ pattern: Pattern, then next: NodeID) -> NodeID {
    switch pattern {
    case .scalar(let ranges): character(in: ranges, then: next)
    case .sequence(let parts): parts.reversed().reduce(next) { match($1, then: $0) }
    case .alternatives(let branches): choice(branches.map { match($0, then: next) })
    case .repeated(let body, let minimum, let maximum): match(body, minimum, maximum, then: next)
    case .start, .end: next
    }
  }

  private mutating func match(_ body: Pattern, _ minimum: Int, _ maximum: Int?, then next: NodeID) -> NodeID {
    if minimum == 0 && maximum == nil { return star(then: next) { $0.match(body, then: $1) } }
    guard body.isNullable else { return loop(match(body, then: Self.end), minimum, maximum, then: next) }
    // A body that may be empty matches any smaller number of times too.
    guard let maximum else { return star(then: next) { $0.match(body, then: $1) } }
    var node = next
    for _ in 0..<maximum where !isFull { node = optional(match(body, then: node), or: next) }
    return node
  }
}
