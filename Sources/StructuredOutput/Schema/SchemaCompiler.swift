import Foundation
import WidebandCheckedInput

/// Compiles a JSON schema.
///
/// Each schema is compiled to the nodes of its values, given the node that follows them. Objects, lists, elements of
/// lists and targets of references are rules, so that the automaton's size is linear in the schema's.
struct SchemaCompiler {
  var automaton = PushdownAutomaton()
  let root: JSONValue
  private var references: [Reference: RuleID] = [:]
  private var referencePointers: [RuleID: String] = [:]
  private var pending: [(rule: RuleID, reference: Reference, schema: JSONValue)] = []
  private var depth = 0
  /// The rules of values without constraints.
  private var anyRules: [ValueKinds: RuleID] = [:]

  private struct Reference: Hashable {
    let pointer: String
    let kinds: ValueKinds
  }

  init(root: JSONValue) { self.root = root }

  /// The automaton of the whole schema.
  static func automaton(of schema: JSONValue, kinds: ValueKinds = .all) throws(JSONGrammarError) -> PushdownAutomaton {
    var compiler = SchemaCompiler(root: schema)
    let rule = compiler.automaton.rule()
    compiler.automaton.define(
      rule, as: try compiler.value(schema, at: "#", kinds, then: PushdownAutomaton.end))
    try compiler.compileReferences()
    guard !compiler.automaton.isFull else { throw .limit("\(JSONGrammarLimits.nodes) nodes") }
    if let rule = compiler.automaton.leftRecursiveRule() {
      throw .unsupported(
        pointer: compiler.referencePointers[rule] ?? "#", keyword: "$ref",
        reason: "in a cycle without an object or a list")
    }
    compiler.automaton.start = compiler.automaton.rules[Int(rule)]
    compiler.automaton.computeHeights()
    guard compiler.automaton.heights[Int(compiler.automaton.start)] <= JSONGrammarLimits.nesting else {
      throw .unsatisfiable
    }
    return compiler.automaton
  }

  /// Compiles the targets of references, which may refer to others.
  private mutating func compileReferences() throws(JSONGrammarError) {
    while let next = pending.popLast() {
      let node = try value(next.schema, at: next.reference.pointer, next.reference.kinds, then: PushdownAutomaton.end)
      automaton.define(next.rule, as: node)
    }
  }

  /// Nodes of the values of a schema.
  ///
  /// - Parameter kinds: the kinds that schemas around it allow.
  mutating func value(
    _ schema: JSONValue, at pointer: String, _ kinds: ValueKinds = .all, then next: NodeID
  ) throws(JSONGrammarError) -> NodeID {
    guard !automaton.isFull else { throw .limit("\(JSONGrammarLimits.nodes) nodes") }
    guard depth < JSONGrammarLimits.schemaNesting else {
      throw .limit("\(JSONGrammarLimits.schemaNesting) levels of schemas")
    }
    depth += 1
    defer { depth -= 1 }
    switch schema {
    case .boolean(true): return anyValue(kinds, then: next)
    case .boolean(false): return automaton.choice([])
    case .object(let members): return try value(SchemaNode(members: members, pointer: pointer), kinds, then: next)
    default: throw .malformed(pointer: pointer, keyword: schema.summary, expected: "a schema: an object, true or false")
    }
  }

  private mutating func value(
    _ schema: SchemaNode, _ kinds: ValueKinds, then next: NodeID
  ) throws(JSONGrammarError) -> NodeID {
    try check(schema)
    let ownKinds = try typeKinds(schema)
    guard schema["format"] == nil || ownKinds.contains(.string) else {
      throw schema.unsupported("format", "for values that are no strings")
    }
    let kinds = kinds.intersection(ownKinds)
    guard let combination = Keywords.combinations.first(where: { schema[$0] != nil }) else {
      return try plainValue(schema, kinds, then: next)
    }
    try schema.allow(only: ["type"], with: combination)
    switch combination {
    case "$ref": return try reference(schema, kinds, then: next)
    case "const":
      return automaton.values([schema[combination] ?? .null].filter(kinds.allows), then: next)
    case "enum": return automaton.values(try schema.list(combination)?.filter(kinds.allows) ?? [], then: next)
    default:
      let branches = try schema.list(combination) ?? []
      guard combination != "allOf" || branches.count == 1 else {
        throw schema.unsupported("allOf", "with more than one element")
      }
      var nodes: [NodeID] = []
      for (index, branch) in branches.enumerated() {
        nodes.append(try value(branch, at: schema.pointer(combination, "\(index)"), kinds, then: next))
      }
      return automaton.choice(nodes)
    }
  }

  private func check(_ schema: SchemaNode) throws(JSONGrammarError) {
    for (keyword, value) in schema.members where !Keywords.all.contains(keyword) {
      // Values without effect, which generators of schemas write.
      switch (keyword, value) {
      case ("uniqueItems", .boolean(false)), ("nullable", .boolean(false)): continue
      case ("minProperties", .number(let number)) where number.integer == 0: continue
      default: throw schema.unsupported(keyword)
      }
    }
  }

  private func typeKinds(_ schema: SchemaNode) throws(JSONGrammarError) -> ValueKinds {
    guard let type = schema["type"] else { return .all }
    let names = if case .array(let names) = type { names } else { [type] }
    var kinds: ValueKinds = []
    for name in names {
      guard case .string(let text) = name, let kind = ValueKinds(name: text) else {
        throw schema.malformed(
          "type", expected: "null, boolean, integer, number, string, array or object, found \(name.summary)")
      }
      kinds.formUnion(kind)
    }
    return kinds
  }

  /// Values of a schema that combines no others. Without a type, its keywords say what it is about.
  private mutating func plainValue(
    _ schema: SchemaNode, _ kinds: ValueKinds, then next: NodeID
  ) throws(JSONGrammarError) -> NodeID {
    var kinds = kinds
    if schema["type"] == nil {
      let keywords = Set(schema.members.keys)
      let topics: [(Set<String>, ValueKinds)] = [
        (Keywords.object, .object), (Keywords.array, .array), (Keywords.string, .string), (Keywords.number, .number),
      ]
      let implied = topics.reduce(into: ValueKinds()) { if !keywords.isDisjoint(with: $1.0) { $0.formUnion($1.1) } }
      if !implied.isEmpty { kinds.formIntersection(implied) }
    }
    var nodes: [NodeID] = []
    if kinds.contains(.object) { nodes.append(try object(schema, then: next)) }
    if kinds.contains(.array) { nodes.append(try array(schema, then: next)) }
    if kinds.contains(.string) { nodes.append(try string(schema, then: next)) }
    if !kinds.isDisjoint(with: .number) {
      nodes.append(try number(schema, isInteger: !kinds.contains(.fraction), then: next))
    }
    nodes += literals(kinds, then: next)
    return automaton.choice(nodes)
  }

  private mutating func literals(_ kinds: ValueKinds, then next: NodeID) -> [NodeID] {
    var nodes: [NodeID] = []
    if kinds.contains(.boolean) {
      nodes += [automaton.literal("true", then: next), automaton.literal("false", then: next)]
    }
    if kinds.contains(.null) { nodes.append(automaton.literal("null", then: next)) }
    return nodes
  }

  // MARK: - References

  private mutating func reference(
    _ schema: SchemaNode, _ kinds: ValueKinds, then next: NodeID
  ) throws(JSONGrammarError) -> NodeID {
    guard let target = try schema.string("$ref") else { return next }
    guard target == "#" || target.hasPrefix("#/") else {
      throw schema.unsupported("$ref", "to \(quoted(target)): expected '#', '#/$defs/…' or '#/definitions/…'")
    }
    let reference = Reference(pointer: target, kinds: kinds)
    if let rule = references[reference] { return automaton.call(rule, then: next) }
    guard let found = resolve(target) else {
      throw schema.malformed("$ref", expected: "the pointer of a schema, found \(quoted(target))")
    }
    let rule = automaton.rule()
    references[reference] = rule
    referencePointers[rule] = target
    pending.append((rule, reference, found))
    return automaton.call(rule, then: next)
  }

  private func resolve(_ pointer: String) -> JSONValue? {
    var value = root
    for part in pointer.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
      guard let decoded = part.removingPercentEncoding else { return nil }
      let name = decoded.replacing("~1", with: "/").replacing("~0", with: "~")
      switch value {
      case .object(let members):
        guard let member = members[name] else { return nil }
        value = member
      case .array(let elements):
        guard let index = Int(name), elements.indices.contains(index) else { return nil }
        value = elements[index]
      default: return nil
      }
    }
    return value
  }

  // MARK: - Values without constraints

  /// Nodes of any value of some kinds.
  mutating func anyValue(_ kinds: ValueKinds, then next: NodeID) -> NodeID {
    automaton.call(anyRule(kinds), then: next)
  }

  private mutating func anyRule(_ kinds: ValueKinds) -> RuleID {
    if let rule = anyRules[kinds] { return rule }
    let rule = automaton.rule()
    anyRules[kinds] = rule
    let end = PushdownAutomaton.end
    var nodes: [NodeID] = []
    if kinds.contains(.object) { nodes.append(anyObject(then: end)) }
    if kinds.contains(.array) {
      let element = anyRule(.all)
      nodes.append(automaton.list(of: element, 0, nil, then: end))
    }
    if kinds.contains(.string) { nodes.append(automaton.anyString(0, nil, then: end)) }
    if kinds.contains(.fraction) {
      nodes.append(automaton.number(then: end))
    } else if kinds.contains(.integer) {
      nodes.append(automaton.integer(then: end))
    }
    nodes += literals(kinds, then: end)
    automaton.define(rule, as: automaton.choice(nodes))
    return rule
  }

  /// Nodes of an object with any members.
  mutating func anyObject(then next: NodeID) -> NodeID {
    let value = anyRule(.all)
    return automaton.members(then: next) { automaton, next in
      let afterKey = automaton.colon(then: automaton.call(value, then: next))
      return automaton.anyString(0, nil, then: afterKey)
    }
  }
}
