import WidebandCheckedInput

/// Objects and lists.
extension SchemaCompiler {
  /// Nodes of an object: the properties in the order of the schema, then any others that it allows.
  ///
  /// As in llama.cpp and in XGrammar's strict mode, a schema with properties allows no others unless
  /// `additionalProperties` says so.
  mutating func object(_ schema: SchemaNode, then next: NodeID) throws(JSONGrammarError) -> NodeID {
    guard Keywords.object.contains(where: { schema[$0] != nil }) else { return anyObject(then: next) }
    let properties = try properties(schema)
    let others = try otherMembers(schema, properties.map(\.name), then: next)

    let body = automaton.rule()
    let close = automaton.space(then: automaton.literal("}", then: PushdownAutomaton.end))
    // What may follow a member, and what may follow a comma, from the last property to the first.
    var following = others.map { automaton.further($0, 0, nil, close: close) } ?? close
    var members = others.map { automaton.call($0, then: following) }
    var canClose = true
    for property in properties.reversed() {
      let member = try member(property, then: following)
      members = property.isRequired ? member : automaton.choice([member] + (members.map { [$0] } ?? []))
      canClose = canClose && !property.isRequired
      let comma = members.map { automaton.comma(then: $0) }
      following = automaton.choice((comma.map { [$0] } ?? []) + (canClose ? [close] : []))
    }
    let first = members.map { [automaton.space(then: $0)] } ?? []
    automaton.define(
      body, as: automaton.literal("{", then: automaton.choice(first + (canClose ? [close] : []))))
    return automaton.call(body, nests: true, then: next)
  }

  private struct Property {
    let name: String
    let schema: JSONValue
    let pointer: String
    let isRequired: Bool
  }

  private mutating func member(_ property: Property, then next: NodeID) throws(JSONGrammarError) -> NodeID {
    let value = try value(property.schema, at: property.pointer, then: next)
    return automaton.string(property.name, then: automaton.colon(then: value))
  }

  /// The properties, and names that only `required` has.
  private func properties(_ schema: SchemaNode) throws(JSONGrammarError) -> [Property] {
    var required: [String] = []
    if let value = schema["required"] {
      guard case .array(let names) = value else { throw schema.malformed("required", expected: "a list of strings") }
      for name in names {
        guard case .string(let text) = name else { throw schema.malformed("required", expected: "a list of strings") }
        required.append(text)
      }
    }
    let requiredNames = Set(required.map(ExactString.init))
    var properties: [Property] = []
    var names: Set<ExactString> = []
    if let value = schema["properties"] {
      guard case .object(let members) = value else {
        throw schema.malformed("properties", expected: "an object of schemas")
      }
      for (name, value) in members {
        names.insert(ExactString(name))
        properties.append(
          Property(
            name: name, schema: value, pointer: schema.pointer("properties", name),
            isRequired: requiredNames.contains(ExactString(name))))
      }
    }
    for name in required where names.insert(ExactString(name)).inserted {
      guard let others = try additional(schema) else {
        throw schema.malformed("required", expected: "names of properties, found \(quoted(name))")
      }
      properties.append(
        Property(
          name: name, schema: others, pointer: schema.pointer("additionalProperties"), isRequired: true))
    }
    return properties
  }

  /// The schema of further members; nil for none.
  private func additional(_ schema: SchemaNode) throws(JSONGrammarError) -> JSONValue? {
    guard let value = schema["additionalProperties"] else { return schema["properties"] == nil ? .boolean(true) : nil }
    return value == .boolean(false) ? nil : value
  }

  /// The rule of a member whose name is none of the properties'. Its name is written without escapes.
  private mutating func otherMembers(
    _ schema: SchemaNode, _ names: [String], then next: NodeID
  ) throws(JSONGrammarError) -> RuleID? {
    guard let others = try additional(schema) else { return nil }
    let rule = automaton.rule()
    let value = try value(others, at: schema.pointer("additionalProperties"), then: PushdownAutomaton.end)
    automaton.define(rule, as: ScalarTrie(names).complement(in: &automaton, then: automaton.colon(then: value)))
    return rule
  }

  /// Nodes of a list. As in XGrammar's strict mode, `prefixItems` without `items` allows no further elements.
  mutating func array(_ schema: SchemaNode, then next: NodeID) throws(JSONGrammarError) -> NodeID {
    let minimum = try schema.count("minItems") ?? 0
    let maximum = try schema.count("maxItems")
    if case .array? = schema["items"] { throw schema.unsupported("items", "as a list, which is prefixItems now") }
    let prefix = try schema.list("prefixItems") ?? []
    var element: RuleID?
    if let items = schema["items"] ?? (prefix.isEmpty ? .boolean(true) : nil), items != .boolean(false) {
      let rule = automaton.rule()
      automaton.define(
        rule, as: try value(items, at: schema.pointer("items"), then: PushdownAutomaton.end))
      element = rule
    }
    guard !prefix.isEmpty else {
      if let element { return automaton.list(of: element, minimum, maximum, then: next) }
      return automaton.container("[", "]", then: next) { minimum == 0 ? $1 : $0.choice([]) }
    }
    let body = automaton.rule()
    let close = automaton.space(then: automaton.literal("]", then: PushdownAutomaton.end))
    let rest = max(0, minimum - prefix.count)
    var following =
      if let element {
        automaton.further(element, rest, maximum.map { max(0, $0 - prefix.count) }, close: close)
      } else { rest == 0 ? close : automaton.choice([]) }
    for (index, item) in prefix.enumerated().reversed() {
      var nodes = index >= minimum ? [close] : []
      if index < maximum ?? .max {
        let node = try value(item, at: schema.pointer("prefixItems", "\(index)"), then: following)
        nodes.append(index == 0 ? automaton.space(then: node) : automaton.comma(then: node))
      }
      following = automaton.choice(nodes)
    }
    automaton.define(body, as: automaton.literal("[", then: following))
    return automaton.call(body, nests: true, then: next)
  }
}
