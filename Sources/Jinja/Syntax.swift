/// An expression of a template.
indirect enum Expression: Sendable {
  case string(MarkedText), integer(Int), float(Double), boolean(Bool), none
  case name(String)
  case list([Expression]), tuple([Expression]), mapping([(key: Expression, value: Expression)])
  case attribute(Expression, String)
  case item(Expression, Expression)
  case slice(Expression, start: Expression?, stop: Expression?, step: Expression?)
  case call(Expression, Arguments)
  case filter(JinjaFilter, Expression, Arguments)
  case test(JinjaTest, Expression, Arguments)
  case not(Expression), negative(Expression), positive(Expression)
  case and(Expression, Expression), or(Expression, Expression)
  case binary(BinaryOperator, Expression, Expression)
  case comparison(Expression, [(ComparisonOperator, Expression)])
  case conditional(Expression, condition: Expression, otherwise: Expression?)
}

enum BinaryOperator: String, Sendable {
  case add = "+"
  case subtract = "-"
  case multiply = "*"
  case divide = "/"
  case floorDivide = "//"
  case remainder = "%"
  case power = "**"
  case concatenate = "~"
}

enum ComparisonOperator: String, Sendable {
  case equal = "=="
  case notEqual = "!="
  case less = "<"
  case lessOrEqual = "<="
  case greater = ">"
  case greaterOrEqual = ">="
  case isIn = "in"
  case isNotIn = "not in"
}

/// The arguments of a call, a filter or a test.
struct Arguments: Sendable {
  var positional: [Expression] = []
  var named: [(name: String, value: Expression)] = []
}

/// A statement or an output, with its line for errors.
struct Statement: Sendable {
  let line: Int
  let kind: Kind

  indirect enum Kind: Sendable {
    case text(MarkedText)
    case output(Expression)
    case conditional([(condition: Expression, body: [Statement])], otherwise: [Statement])
    case loop(Loop)
    case set(Target, Expression)
    /// `{% set name | filters %}…{% endset %}`
    case setBlock(Target, [(JinjaFilter, Arguments)], [Statement])
    case macro(Macro)
    /// `{% call macro(…) %}…{% endcall %}`
    case callBlock(Macro, Expression)
    case filterBlock([(JinjaFilter, Arguments)], [Statement])
    case with([(Target, Expression)], [Statement])
    case generation([Statement])
    case breakLoop, continueLoop
    case expression(Expression)
  }
}

/// What a value is assigned to.
indirect enum Target: Sendable {
  case name(String)
  /// An attribute of a namespace.
  case attribute(String, String)
  case tuple([Target])
}

struct Loop: Sendable {
  let target: Target
  let elements: Expression
  let condition: Expression?
  let body: [Statement]
  let otherwise: [Statement]
}

struct Macro: Sendable {
  let name: String
  let parameters: [(name: String, fallback: Expression?)]
  let body: [Statement]
}
