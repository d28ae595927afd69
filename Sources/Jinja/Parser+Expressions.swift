/// The grammar of expressions, with the precedence that Jinja gives them.
extension Parser {
  /// An expression, or several with commas between, which make a tuple.
  ///
  /// - Parameter hasConditional: whether `a if b else c` is taken; after `for … in` an `if` is the loop's condition.
  mutating func tuple(hasConditional: Bool = true) throws -> Expression {
    let first = try hasConditional ? expression() : or()
    guard current.kind == .symbol(",") else { return first }
    var elements = [first]
    while skip(symbol: ",") {
      switch current.kind {
      case .symbol(")"), .outputEnd, .blockEnd, .name("in"): return .tuple(elements)
      default: elements.append(try hasConditional ? expression() : or())
      }
    }
    return .tuple(elements)
  }

  mutating func expression() throws -> Expression {
    try nested { parser in
      var value = try parser.or()
      var links = 0
      while parser.skip(name: "if") {
        try parser.extend(&links)
        let condition = try parser.or()
        let otherwise = try parser.skip(name: "else") ? parser.expression() : nil
        value = .conditional(value, condition: condition, otherwise: otherwise)
      }
      return value
    }
  }

  private mutating func or() throws -> Expression {
    var value = try and()
    var links = 0
    while skip(name: "or") {
      try extend(&links)
      value = .or(value, try and())
    }
    return value
  }

  private mutating func and() throws -> Expression {
    var value = try not()
    var links = 0
    while skip(name: "and") {
      try extend(&links)
      value = .and(value, try not())
    }
    return value
  }

  private mutating func not() throws -> Expression {
    guard skip(name: "not") else { return try comparison() }
    return try nested { .not(try $0.not()) }
  }

  private mutating func comparison() throws -> Expression {
    let first = try sum()
    var rest: [(ComparisonOperator, Expression)] = []
    while let comparison = comparisonOperator() { rest.append((comparison, try sum())) }
    return rest.isEmpty ? first : .comparison(first, rest)
  }

  private mutating func comparisonOperator() -> ComparisonOperator? {
    switch current.kind {
    case .symbol(let symbol):
      guard let comparison = ComparisonOperator(rawValue: symbol) else { return nil }
      position += 1
      return comparison
    case .name("in"):
      position += 1
      return .isIn
    case .name("not") where tokens[position + 1].kind == .name("in"):
      position += 2
      return .isNotIn
    default: return nil
    }
  }

  private mutating func binary(
    _ symbols: [String], _ operand: (inout Parser) throws -> Expression
  ) throws -> Expression {
    var value = try operand(&self)
    var links = 0
    while case .symbol(let symbol) = current.kind, symbols.contains(symbol),
      let binary = BinaryOperator(rawValue: symbol)
    {
      position += 1
      try extend(&links)
      value = .binary(binary, value, try operand(&self))
    }
    return value
  }

  private mutating func sum() throws -> Expression { try binary(["+", "-"]) { try $0.concatenation() } }
  private mutating func concatenation() throws -> Expression { try binary(["~"]) { try $0.product() } }
  private mutating func product() throws -> Expression { try binary(["*", "/", "//", "%"]) { try $0.power() } }
  private mutating func power() throws -> Expression { try binary(["**"]) { try $0.unary() } }

  private mutating func unary(withFilters: Bool = true) throws -> Expression {
    let value: Expression
    if skip(symbol: "-") {
      value = try nested { .negative(try $0.unary(withFilters: false)) }
    } else if skip(symbol: "+") {
      value = try nested { .positive(try $0.unary(withFilters: false)) }
    } else {
      value = try postfix(primary())
    }
    return try withFilters ? filtersAndTests(value) : value
  }

  private mutating func primary() throws -> Expression {
    let token = current
    position += 1
    switch token.kind {
    case .name(let name):
      switch name {
      case "true", "True": return .boolean(true)
      case "false", "False": return .boolean(false)
      case "none", "None": return .none
      default: return .name(name)
      }
    case .string(var bytes):
      while case .string(let more) = current.kind {
        bytes += more
        position += 1
      }
      return .string(MarkedText(bytes: bytes, isInput: false))
    case .integer(let value): return .integer(value)
    case .float(let value): return .float(value)
    case .symbol("("):
      if skip(symbol: ")") { return .tuple([]) }
      let value = try tuple()
      try expect(symbol: ")")
      return value
    case .symbol("["): return .list(try elements(until: "]") { try $0.expression() })
    case .symbol("{"):
      return .mapping(
        try elements(until: "}") { parser in
          let key = try parser.expression()
          try parser.expect(symbol: ":")
          return (key, try parser.expression())
        })
    default:
      position -= 1
      throw unexpected("an expression")
    }
  }

  private mutating func elements<Element>(
    until end: String, _ element: (inout Parser) throws -> Element
  ) throws -> [Element] {
    var elements: [Element] = []
    while !skip(symbol: end) {
      if !elements.isEmpty {
        try expect(symbol: ",")
        if skip(symbol: end) { break }
      }
      elements.append(try element(&self))
    }
    return elements
  }

  private mutating func postfix(_ value: Expression) throws -> Expression {
    var value = value
    var links = 0
    while true {
      try extend(&links)
      if skip(symbol: ".") {
        if case .integer(let index) = current.kind {
          position += 1
          value = .item(value, .integer(index))
        } else {
          value = .attribute(value, try expectName())
        }
      } else if skip(symbol: "[") {
        value = try item(of: value)
        try expect(symbol: "]")
      } else if current.kind == .symbol("(") {
        value = .call(value, try arguments())
      } else {
        return value
      }
    }
  }

  private mutating func item(of value: Expression) throws -> Expression {
    var parts: [Expression?] = [nil]
    while current.kind != .symbol("]") {
      if skip(symbol: ":") {
        guard parts.count < 3 else { throw unexpected("']'") }
        parts.append(nil)
      } else {
        guard parts[parts.count - 1] == nil else { throw unexpected("']'") }
        parts[parts.count - 1] = try expression()
      }
    }
    if parts.count > 1 { return .slice(value, start: parts[0], stop: parts[1], step: parts.count > 2 ? parts[2] : nil) }
    guard let index = parts[0] else { throw unexpected("an index") }
    return .item(value, index)
  }

  mutating func arguments() throws -> Arguments {
    try expect(symbol: "(")
    var arguments = Arguments()
    while !skip(symbol: ")") {
      if !arguments.positional.isEmpty || !arguments.named.isEmpty {
        try expect(symbol: ",")
        if skip(symbol: ")") { break }
      }
      if current.kind == .symbol("*") || current.kind == .symbol("**") {
        throw failure("arguments from a list or mapping are not supported")
      }
      if case .name(let name) = current.kind, tokens[position + 1].kind == .symbol("=") {
        position += 2
        arguments.named.append((name, try expression()))
      } else {
        guard arguments.named.isEmpty else { throw unexpected("a named argument") }
        arguments.positional.append(try expression())
      }
    }
    return arguments
  }

  private mutating func filtersAndTests(_ value: Expression) throws -> Expression {
    var value = value
    var links = 0
    while true {
      try extend(&links)
      if skip(symbol: "|") {
        let (filter, arguments) = try filter()
        value = .filter(filter, value, arguments)
      } else if skip(name: "is") {
        value = try test(value)
      } else if current.kind == .symbol("(") {
        value = .call(value, try arguments())
      } else {
        return value
      }
    }
  }

  /// A filter after its `|`.
  mutating func filter() throws -> (JinjaFilter, Arguments) {
    let name = try expectName()
    guard let filter = JinjaFilter(name) else {
      throw failure("filter '\(name)': expected \(JinjaFilter.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return (filter, current.kind == .symbol("(") ? try arguments() : Arguments())
  }

  /// `| filter | filter`
  mutating func filters() throws -> [(JinjaFilter, Arguments)] {
    var filters: [(JinjaFilter, Arguments)] = []
    while skip(symbol: "|") { filters.append(try filter()) }
    return filters
  }

  private mutating func test(_ value: Expression) throws -> Expression {
    let isNegated = skip(name: "not")
    let name = try expectName()
    guard let test = JinjaTest(name) else {
      throw failure("test '\(name)': expected \(JinjaTest.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    var arguments = Arguments()
    switch current.kind {
    case .symbol("("): arguments = try self.arguments()
    case .name("else"), .name("or"), .name("and"), .name("if"), .name("is"), .name("in"), .name("not"): break
    case .name, .string, .integer, .float, .symbol("["), .symbol("{"):
      arguments.positional = [try postfix(primary())]
    default: break
    }
    let result = Expression.test(test, value, arguments)
    return isNegated ? .not(result) : result
  }
}
