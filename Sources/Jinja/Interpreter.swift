import Foundation
import OrderedCollections

/// Renders statements. `Interpreter+Expressions.swift` evaluates expressions, `Interpreter+Calls.swift` functions.
final class Interpreter {
  /// What follows a statement.
  enum Flow { case next, breakLoop, continueLoop }

  let budget: Budget
  /// The time that `strftime_now` prints.
  let now: Date
  private var output = MarkedText()
  /// The byte ranges of `{% generation %}` blocks in the output.
  private(set) var generations: [Range<Int>] = []
  private var line = 1
  private var depth = 0

  init(limits: JinjaLimits, now: Date) { (budget, self.now) = (Budget(limits), now) }

  func render(_ statements: [Statement], _ scope: Scope) throws(JinjaError) -> MarkedText {
    do {
      _ = try execute(statements, scope)
      return output
    } catch let error as JinjaError { throw error } catch let failure as Failure {
      throw failure.at(line: line)
    } catch { throw .rendering(line: line, "\(error)") }
  }

  func nested<Result>(_ body: () throws -> Result) throws -> Result {
    depth += 1
    defer { depth -= 1 }
    // An expression within a macro within a loop: every one of them has levels of its own.
    guard depth <= 4 * budget.limits.depth else {
      throw Failure("more than \(4 * budget.limits.depth) levels", kind: .limit)
    }
    return try body()
  }

  private func write(_ text: MarkedText) throws {
    output.append(text)
    guard output.count <= budget.limits.outputBytes else {
      throw Failure("an output of more than \(budget.limits.outputBytes) bytes", kind: .limit)
    }
  }

  /// The output of statements as a text.
  func captured(_ statements: [Statement], _ scope: Scope) throws -> MarkedText {
    let outer = output
    output = MarkedText()
    defer { output = outer }
    _ = try nested { try execute(statements, scope) }
    return output
  }

  private func execute(_ statements: [Statement], _ scope: Scope) throws -> Flow {
    for statement in statements {
      try budget.spend()
      line = statement.line
      let flow = try execute(statement.kind, scope)
      if flow != .next { return flow }
    }
    return .next
  }

  private func execute(_ statement: Statement.Kind, _ scope: Scope) throws -> Flow {
    switch statement {
    case .text(let text): try write(text)
    case .output(let value): try write(evaluate(value, scope).text)
    case .conditional(let branches, let otherwise):
      for (condition, body) in branches where try evaluate(condition, scope).isTrue {
        return try nested { try execute(body, scope) }
      }
      return try nested { try execute(otherwise, scope) }
    case .loop(let loop): try execute(loop, scope)
    case .set(let target, let value): try assign(evaluate(value, scope), to: target, scope)
    case .setBlock(let target, let filters, let body):
      let text = try captured(body, Scope(parent: scope))
      try assign(try apply(filters, to: .string(text), scope), to: target, scope)
    case .macro(let macro): scope.set(macro.name, .function(.macro(MacroClosure(macro, scope))))
    case .callBlock(let macro, let call):
      guard case .call(let callee, let arguments) = call else { break }
      let caller = JinjaValue.function(.macro(MacroClosure(macro, scope)))
      let function = try evaluate(callee, scope)
      try write(self.call(function, try values(of: arguments, scope), caller: caller).text)
    case .filterBlock(let filters, let body):
      let text = try captured(body, Scope(parent: scope))
      try write(try apply(filters, to: .string(text), scope).text)
    case .with(let values, let body):
      let inner = Scope(parent: scope)
      for (target, value) in values { try assign(evaluate(value, scope), to: target, inner) }
      return try nested { try execute(body, inner) }
    case .generation(let body):
      let start = output.count
      let flow = try nested { try execute(body, scope) }
      generations.append(start..<output.count)
      return flow
    case .breakLoop: return .breakLoop
    case .continueLoop: return .continueLoop
    case .expression(let value): _ = try evaluate(value, scope)
    }
    return .next
  }

  private func execute(_ loop: Loop, _ scope: Scope) throws {
    var elements = try evaluate(loop.elements, scope).elements()
    try budget.spend(elements.count)
    if let condition = loop.condition {
      elements = try elements.filter { element in
        let inner = Scope(parent: scope)
        try assign(element, to: loop.target, inner)
        return try evaluate(condition, inner).isTrue
      }
    }
    guard !elements.isEmpty else {
      _ = try nested { try execute(loop.otherwise, Scope(parent: scope)) }
      return
    }
    let state = LoopState(elements)
    for (index, element) in elements.enumerated() {
      state.index = index
      let inner = Scope(["loop": .loop(state)], parent: scope)
      try assign(element, to: loop.target, inner)
      if try nested({ try execute(loop.body, inner) }) == .breakLoop { break }
    }
  }

  private func assign(_ value: JinjaValue, to target: Target, _ scope: Scope) throws {
    switch target {
    case .name(let name): scope.set(name, value)
    case .attribute(let name, let attribute):
      guard case .namespace(let namespace)? = scope.value(of: name) else {
        throw Failure("'\(name)' is no namespace: its attributes cannot be set")
      }
      namespace.attributes[attribute] = value
    case .tuple(let targets):
      let elements = try value.elements()
      guard elements.count == targets.count else {
        throw Failure("\(elements.count) values for \(targets.count) names")
      }
      for (element, target) in zip(elements, targets) { try assign(element, to: target, scope) }
    }
  }

  private func apply(
    _ filters: [(JinjaFilter, Arguments)], to value: JinjaValue, _ scope: Scope
  ) throws -> JinjaValue {
    try filters.reduce(value) { value, filter in
      try self.filter(filter.0, value, try values(of: filter.1, scope))
    }
  }
}
