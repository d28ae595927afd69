import WidebandCheckedInput

/// The punctuation and white space of JSON documents, and fixed values.
extension PushdownAutomaton {
  /// White space at a place where a document may be broken into lines: nothing, one space, or a line break and
  /// indentation.
  mutating func space(then next: NodeID) -> NodeID {
    let indentation = loop(
      bytes(ByteSet(0x09...0x09, 0x20...0x20), then: Self.end), 0, JSONGrammarLimits.indentation, then: next)
    return choice([next, literal(" ", then: next), literal("\n", then: indentation)])
  }

  mutating func comma(then next: NodeID) -> NodeID { literal(",", then: space(then: next)) }

  mutating func colon(then next: NodeID) -> NodeID {
    literal(":", then: optional(literal(" ", then: next), or: next))
  }

  /// Nodes of a string with a number of characters.
  mutating func anyString(_ minimum: Int, _ maximum: Int?, then next: NodeID) -> NodeID {
    let character = self.character ?? anyCharacter(then: Self.end)
    self.character = character
    return literal("\"", then: loop(character, minimum, maximum, then: literal("\"", then: next)))
  }

  /// Nodes of an object or list whose content is given, with white space before its end.
  mutating func container(
    _ open: String, _ close: String, then next: NodeID, _ content: (inout Self, _ close: NodeID) -> NodeID
  ) -> NodeID {
    let body = rule()
    let end = space(then: literal(close, then: Self.end))
    define(body, as: literal(open, then: content(&self, end)))
    return call(body, nests: true, then: next)
  }

  /// Nodes of an object with any number of equal members.
  mutating func members(then next: NodeID, _ member: (inout Self, NodeID) -> NodeID) -> NodeID {
    let rule = rule()
    define(rule, as: member(&self, Self.end))
    return container("{", "}", then: next) { automaton, close in
      automaton.elements(rule, 0, nil, close: close)
    }
  }

  /// Nodes of a list with a number of equal elements.
  mutating func list(of element: RuleID, _ minimum: Int, _ maximum: Int?, then next: NodeID) -> NodeID {
    container("[", "]", then: next) { $0.elements(element, minimum, maximum, close: $1) }
  }

  private mutating func elements(_ element: RuleID, _ minimum: Int, _ maximum: Int?, close: NodeID) -> NodeID {
    if let maximum, maximum < minimum { return choice([]) }
    if maximum == 0 { return close }
    let others = further(element, max(0, minimum - 1), maximum.map { $0 - 1 }, close: close)
    let first = space(then: call(element, then: others))
    return minimum == 0 ? choice([first, close]) : first
  }

  /// Nodes of elements that each follow a comma.
  mutating func further(_ element: RuleID, _ minimum: Int, _ maximum: Int?, close: NodeID) -> NodeID {
    loop(comma(then: call(element, then: Self.end)), minimum, maximum, then: close)
  }

  /// Nodes of one of several fixed values.
  mutating func values(_ values: [JSONValue], then next: NodeID) -> NodeID {
    let texts = values.compactMap { if case .string(let text) = $0 { text } else { nil } }
    var nodes = texts.isEmpty ? [] : [ScalarTrie(texts).nodes(in: &self, then: next)]
    for value in values {
      if case .string = value { continue }
      nodes.append(self.value(value, then: next))
    }
    return choice(nodes)
  }

  /// Nodes of a fixed value. A number is spelled as in the schema.
  private mutating func value(_ value: JSONValue, then next: NodeID) -> NodeID {
    switch value {
    case .null: return literal("null", then: next)
    case .boolean(let value): return literal(value ? "true" : "false", then: next)
    case .number(let number): return ExactDecimal(number) == nil ? choice([]) : literal(number.text, then: next)
    case .string(let text): return string(text, then: next)
    case .loneSurrogate: return choice([])
    case .array(let elements):
      return container("[", "]", then: next) { automaton, close in
        automaton.fixed(elements.map { element in { $0.value(element, then: $1) } }, close: close)
      }
    case .object(let members):
      return container("{", "}", then: next) { automaton, close in
        automaton.fixed(
          members.map { member in
            { automaton, next in
              let value = automaton.value(member.value, then: next)
              return automaton.string(member.key, then: automaton.colon(then: value))
            }
          }, close: close)
      }
    }
  }

  private mutating func fixed(_ elements: [(inout Self, NodeID) -> NodeID], close: NodeID) -> NodeID {
    var next = close
    for (index, element) in elements.enumerated().reversed() {
      let node = element(&self, next)
      next = index == 0 ? space(then: node) : comma(then: node)
    }
    return next
  }
}
