import OrderedCollections

extension Interpreter {
  func evaluate(_ expression: Expression, _ scope: Scope) throws -> JinjaValue {
    try budget.spend()
    return try nested { try evaluated(expression, scope) }
  }

  private func evaluated(_ expression: Expression, _ scope: Scope) throws -> JinjaValue {
    switch expression {
    case .string(let text): return .string(text)
    case .integer(let value): return .integer(value)
    case .float(let value): return .float(value)
    case .boolean(let value): return .boolean(value)
    case .none: return .none
    case .name(let name): return scope.value(of: name) ?? Self.global(name) ?? .undefined("'\(name)' is undefined")
    case .list(let elements): return .list(try elements.map { try evaluate($0, scope) })
    case .tuple(let elements): return .tuple(try elements.map { try evaluate($0, scope) })
    case .mapping(let pairs):
      var members = OrderedDictionary<MarkedText, JinjaValue>()
      for (key, value) in pairs {
        guard case .string(let key) = try evaluate(key, scope) else { throw Failure("a key is not a str") }
        members[key] = try evaluate(value, scope)
      }
      return .mapping(members)
    case .attribute(let value, let name): return try attribute(name, of: evaluate(value, scope))
    case .item(let value, let index): return try item(evaluate(index, scope), of: evaluate(value, scope))
    case .slice(let value, let start, let stop, let step):
      let result = try evaluate(value, scope).slice(
        start: start.map { try evaluate($0, scope) }, stop: stop.map { try evaluate($0, scope) },
        step: step.map { try evaluate($0, scope) })
      try spend(on: result)
      return result
    case .call(let callee, let arguments):
      return try call(evaluate(callee, scope), values(of: arguments, scope))
    case .filter(let filter, let value, let arguments):
      return try self.filter(filter, evaluate(value, scope), values(of: arguments, scope))
    case .test(let test, let value, let arguments):
      return .boolean(try passes(test, evaluate(value, scope), values(of: arguments, scope)))
    case .not(let value): return .boolean(!(try evaluate(value, scope).isTrue))
    case .negative(let value): return try signed(evaluate(value, scope), negative: true)
    case .positive(let value): return try signed(evaluate(value, scope), negative: false)
    case .and(let first, let second):
      let value = try evaluate(first, scope)
      return value.isTrue ? try evaluate(second, scope) : value
    case .or(let first, let second):
      let value = try evaluate(first, scope)
      return value.isTrue ? value : try evaluate(second, scope)
    case .binary(let operation, let first, let second):
      let result = try JinjaValue.compute(operation, evaluate(first, scope), evaluate(second, scope))
      try spend(on: result)
      return result
    case .comparison(let first, let rest):
      var left = try evaluate(first, scope)
      for (comparison, right) in rest {
        let right = try evaluate(right, scope)
        guard try holds(comparison, left, right) else { return .boolean(false) }
        left = right
      }
      return .boolean(true)
    case .conditional(let value, let condition, let otherwise):
      if try evaluate(condition, scope).isTrue { return try evaluate(value, scope) }
      return try otherwise.map { try evaluate($0, scope) }
        ?? .undefined("the inline if-expression has no else branch, and its condition is false")
    }
  }

  /// Counts the work and bounds the size of a value that was just made.
  func spend(on value: JinjaValue) throws {
    switch value {
    case .string(let text): try budget.spend(bytes: text.count)
    case .list(let elements), .tuple(let elements): try budget.spend(elements.count)
    case .mapping(let members): try budget.spend(members.count)
    default: break
    }
  }

  func values(of arguments: Arguments, _ scope: Scope) throws -> CallArguments {
    CallArguments(
      positional: try arguments.positional.map { try evaluate($0, scope) },
      named: try arguments.named.map { ($0.name, try evaluate($0.value, scope)) })
  }

  private func signed(_ value: JinjaValue, negative: Bool) throws -> JinjaValue {
    switch value {
    case .float(let number): return .float(negative ? -number : number)
    default:
      try value.requireDefined()
      guard let integer = value.integer else { throw Failure("a sign before a value of type \(value.typeName)") }
      return .integer(negative ? 0 &- integer : integer)
    }
  }

  func holds(_ comparison: ComparisonOperator, _ left: JinjaValue, _ right: JinjaValue) throws -> Bool {
    switch comparison {
    case .equal: return JinjaValue.equal(left, right)
    case .notEqual: return !JinjaValue.equal(left, right)
    case .less: return try JinjaValue.less(left, right)
    case .lessOrEqual: return try JinjaValue.less(left, right) || JinjaValue.equal(left, right)
    case .greater: return try JinjaValue.less(right, left)
    case .greaterOrEqual: return try JinjaValue.less(right, left) || JinjaValue.equal(left, right)
    case .isIn, .isNotIn:
      if case .string(let text) = right { try budget.spend(bytes: text.count) } else { try spend(on: right) }
      return try right.contains(left) == (comparison == .isIn)
    }
  }

  /// `value.name`: a method or attribute, else an item of a mapping.
  func attribute(_ name: String, of value: JinjaValue) throws -> JinjaValue {
    switch value {
    case .undefined(let what): throw Failure(what)
    case .mapping(let members):
      if JinjaMethod(rawValue: name)?.takes(value) == true { return .function(.method(value, name)) }
      if let member = members[MarkedText(name)] { return member }
    case .namespace(let namespace):
      if let attribute = namespace.attributes[name] { return attribute }
    case .loop(let loop):
      if let attribute = loop.attribute(name) { return attribute }
    default:
      if JinjaMethod(rawValue: name)?.takes(value) == true { return .function(.method(value, name)) }
    }
    return .undefined("'\(value.typeName) object' has no attribute '\(name)'")
  }

  /// `value[index]`: an item, else for a text an attribute.
  func item(_ index: JinjaValue, of value: JinjaValue) throws -> JinjaValue {
    if case .undefined(let what) = value { throw Failure(what) }
    switch (value, index) {
    case (.mapping(let members), .string(let key)):
      if let member = members[key] { return member }
    case (.list(let elements), _), (.tuple(let elements), _):
      if let position = index.integer, let element = Self.element(position, of: elements.count) {
        return elements[element]
      }
    case (.string(let text), _):
      if let position = index.integer {
        let offsets = text.scalarOffsets
        if let element = Self.element(position, of: offsets.count - 1) {
          return .string(text[offsets[element]..<offsets[element + 1]])
        }
      }
    default: break
    }
    guard case .string(let name) = index else {
      return .undefined("'\(value.typeName) object' has no element \(index.text.string)")
    }
    return try attribute(name.string, of: value)
  }

  /// An index from the start or, negative, from the end; nil outside.
  private static func element(_ position: Int, of count: Int) -> Int? {
    let index = position < 0 ? position + count : position
    return (0..<count).contains(index) ? index : nil
  }
}
