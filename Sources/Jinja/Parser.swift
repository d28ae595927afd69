/// Reads tokens into statements. `Parser+Expressions.swift` has the expressions.
struct Parser {
  let tokens: [Token]
  var position = 0
  /// The nesting of expressions and blocks at this place.
  private var depth = 0
  private var loopDepth = 0
  private let maximumDepth: Int

  static func statements(of template: String, limits: JinjaLimits) throws -> [Statement] {
    var parser = Parser(tokens: try Lexer.tokens(of: template), maximumDepth: limits.depth)
    let statements = try parser.body(until: [])
    return statements
  }

  private init(tokens: [Token], maximumDepth: Int) { (self.tokens, self.maximumDepth) = (tokens, maximumDepth) }

  var current: Token { tokens[position] }

  func failure(_ message: String) -> JinjaError { .syntax(line: current.line, message) }

  func unexpected(_ expected: String) -> JinjaError { failure("found \(current.description): expected \(expected)") }

  /// Runs a part of the grammar that may contain itself.
  mutating func nested<Result>(_ body: (inout Parser) throws -> Result) throws -> Result {
    depth += 1
    defer { depth -= 1 }
    guard depth <= maximumDepth else { throw failure("more than \(maximumDepth) levels") }
    return try body(&self)
  }

  /// Counts a link of a chain such as `a + b + c`, whose operands nest as deep as the chain is long.
  func extend(_ links: inout Int) throws {
    links += 1
    guard links <= 2 * maximumDepth else { throw failure("a chain of more than \(2 * maximumDepth) operations") }
  }

  mutating func skip(symbol: String) -> Bool {
    guard current.kind == .symbol(symbol) else { return false }
    position += 1
    return true
  }

  mutating func skip(name: String) -> Bool {
    guard current.kind == .name(name) else { return false }
    position += 1
    return true
  }

  mutating func expect(symbol: String) throws {
    guard skip(symbol: symbol) else { throw unexpected("'\(symbol)'") }
  }

  mutating func expect(name: String) throws {
    guard skip(name: name) else { throw unexpected("'\(name)'") }
  }

  mutating func expectName() throws -> String {
    guard case .name(let name) = current.kind else { throw unexpected("a name") }
    position += 1
    return name
  }

  private mutating func expectBlockEnd() throws {
    guard current.kind == .blockEnd else { throw unexpected("'%}'") }
    position += 1
  }

  /// The statements up to a block that begins with one of `ends`, whose name is the next token.
  private mutating func body(until ends: [String]) throws -> [Statement] {
    try nested { parser in
      var statements: [Statement] = []
      while true {
        let token = parser.current
        switch token.kind {
        case .text(let bytes):
          parser.position += 1
          statements.append(Statement(line: token.line, kind: .text(MarkedText(bytes: bytes, isInput: false))))
        case .outputStart:
          parser.position += 1
          let value = try parser.tuple()
          guard parser.current.kind == .outputEnd else { throw parser.unexpected("'}}'") }
          parser.position += 1
          statements.append(Statement(line: token.line, kind: .output(value)))
        case .blockStart:
          parser.position += 1
          if case .name(let name) = parser.current.kind, ends.contains(name) { return statements }
          statements.append(Statement(line: token.line, kind: try parser.block(ends)))
        default:
          guard ends.isEmpty else { throw parser.failure("the template ends: expected '\(ends[ends.count - 1])'") }
          return statements
        }
      }
    }
  }

  /// The statements up to the end of a block, the block's last tag included.
  private mutating func body(end: String) throws -> [Statement] {
    try expectBlockEnd()
    let statements = try body(until: [end])
    position += 1
    try expectBlockEnd()
    return statements
  }

  private mutating func block(_ ends: [String]) throws -> Statement.Kind {
    let name = try expectName()
    switch name {
    case "if": return try conditional()
    case "for": return .loop(try loop())
    case "set": return try set()
    case "macro":
      let name = try expectName()
      return .macro(Macro(name: name, parameters: try parameters(), body: try macroBody(end: "endmacro")))
    case "call":
      let parameters = current.kind == .symbol("(") ? try parameters() : []
      let call = try expression()
      guard case .call = call else { throw unexpected("a call") }
      return .callBlock(Macro(name: "caller", parameters: parameters, body: try macroBody(end: "endcall")), call)
    case "filter":
      let filters = try [filter()] + filters()
      return .filterBlock(filters, try body(end: "endfilter"))
    case "with": return try with()
    case "generation": return .generation(try body(end: "endgeneration"))
    case "break", "continue":
      guard loopDepth > 0 else { throw failure("'\(name)' outside of a loop") }
      try expectBlockEnd()
      return name == "break" ? .breakLoop : .continueLoop
    case "do":
      let value = try tuple()
      try expectBlockEnd()
      return .expression(value)
    default:
      position -= 1
      let expected = ends.isEmpty ? "" : " or \(ends.map { "'\($0)'" }.joined(separator: ", "))"
      throw failure(
        "statement '\(name)': expected if, for, set, macro, call, filter, with, generation, break, continue, do, raw"
          + expected)
    }
  }

  private mutating func macroBody(end: String) throws -> [Statement] {
    let outer = loopDepth
    loopDepth = 0
    defer { loopDepth = outer }
    return try body(end: end)
  }

  private mutating func conditional() throws -> Statement.Kind {
    var branches: [(condition: Expression, body: [Statement])] = []
    var otherwise: [Statement] = []
    repeat {
      let condition = try tuple(hasConditional: false)
      try expectBlockEnd()
      branches.append((condition, try body(until: ["elif", "else", "endif"])))
    } while skip(name: "elif")
    if skip(name: "else") {
      try expectBlockEnd()
      otherwise = try body(until: ["endif"])
    }
    try expect(name: "endif")
    try expectBlockEnd()
    return .conditional(branches, otherwise: otherwise)
  }

  private mutating func loop() throws -> Loop {
    let target = try target(isLoop: true)
    try expect(name: "in")
    let elements = try tuple(hasConditional: false)
    let condition = try skip(name: "if") ? expression() : nil
    if current.kind == .name("recursive") { throw failure("'recursive' is not supported") }
    try expectBlockEnd()
    loopDepth += 1
    let statements = try body(until: ["else", "endfor"])
    loopDepth -= 1
    var otherwise: [Statement] = []
    if skip(name: "else") {
      try expectBlockEnd()
      otherwise = try body(until: ["endfor"])
    }
    try expect(name: "endfor")
    try expectBlockEnd()
    return Loop(target: target, elements: elements, condition: condition, body: statements, otherwise: otherwise)
  }

  private mutating func set() throws -> Statement.Kind {
    let target = try target()
    if skip(symbol: "=") {
      let value = try tuple()
      try expectBlockEnd()
      return .set(target, value)
    }
    let filters = try filters()
    return .setBlock(target, filters, try body(end: "endset"))
  }

  private mutating func with() throws -> Statement.Kind {
    var values: [(Target, Expression)] = []
    while current.kind != .blockEnd {
      if !values.isEmpty { try expect(symbol: ",") }
      let target = try target()
      try expect(symbol: "=")
      values.append((target, try expression()))
    }
    return .with(values, try body(end: "endwith"))
  }

  /// - Parameter isLoop: whether the target ends before `in`, and has no attributes.
  private mutating func target(isLoop: Bool = false) throws -> Target {
    try nested { parser in
      var parts: [Target] = []
      var isTuple = false
      repeat {
        if !parts.isEmpty, parser.current.kind == .name("in") || parser.current.kind == .symbol("=") { break }
        if parser.skip(symbol: "(") {
          parts.append(try parser.target(isLoop: isLoop))
          try parser.expect(symbol: ")")
        } else {
          let name = try parser.expectName()
          guard !["true", "false", "none", "True", "False", "None"].contains(name) else {
            throw parser.failure("'\(name)' cannot be assigned to")
          }
          let isAttribute = !isLoop && parser.skip(symbol: ".")
          parts.append(isAttribute ? .attribute(name, try parser.expectName()) : .name(name))
        }
        if parser.current.kind == .symbol(",") { isTuple = true }
      } while parser.skip(symbol: ",")
      return isTuple ? .tuple(parts) : parts[0]
    }
  }

  private mutating func parameters() throws -> [(name: String, fallback: Expression?)] {
    try expect(symbol: "(")
    var parameters: [(name: String, fallback: Expression?)] = []
    while !skip(symbol: ")") {
      if !parameters.isEmpty { try expect(symbol: ",") }
      let name = try expectName()
      let fallback = try skip(symbol: "=") ? expression() : nil
      guard fallback != nil || parameters.last?.fallback == nil else {
        throw failure("parameter '\(name)' without a default follows one with a default")
      }
      parameters.append((name, fallback))
    }
    return parameters
  }
}
