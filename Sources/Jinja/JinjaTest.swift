/// The tests of Jinja that chat templates use, after `is` and in `select`.
enum JinjaTest: String, CaseIterable {
  case boolean, callable, defined, divisibleby, eq, equalto, even, `false`, float, ge, greaterthan, gt, `in`, integer
  case iterable, le, lessthan, lower, lt, mapping, ne, none, number, odd, sameas, sequence, string, `true`, undefined
  case upper

  init?(_ name: String) {
    switch name {
    case "==": self = .eq
    case "!=": self = .ne
    case "<": self = .lt
    case "<=": self = .le
    case ">": self = .gt
    case ">=": self = .ge
    default: self.init(rawValue: name)
    }
  }
}

extension Interpreter {
  func passes(_ test: JinjaTest, _ value: JinjaValue, _ arguments: CallArguments) throws -> Bool {
    switch test {
    case .defined: return !value.isUndefined
    case .undefined: return value.isUndefined
    case .none:
      if case .none = value { return true }
    case .boolean:
      if case .boolean = value { return true }
    case .true:
      if case .boolean(true) = value { return true }
    case .false:
      if case .boolean(false) = value { return true }
    case .integer:
      if case .integer = value { return true }
    case .float:
      if case .float = value { return true }
    case .number: return value.number != nil
    case .string:
      if case .string = value { return true }
    case .mapping:
      if case .mapping = value { return true }
    case .sequence:
      switch value {
      case .string, .list, .tuple, .mapping, .undefined: return true
      default: return false
      }
    case .iterable:
      switch value {
      case .string, .list, .tuple, .mapping, .undefined, .loop: return true
      default: return false
      }
    case .callable:
      if case .function = value { return true }
    case .even, .odd:
      guard let integer = value.integer else { throw Failure("\(test.rawValue) takes an int, not \(value.typeName)") }
      return (integer % 2 == 0) == (test == .even)
    case .divisibleby:
      guard let integer = value.integer, let divisor = try argument(arguments, of: test).integer, divisor != 0 else {
        throw Failure("divisibleby takes integers")
      }
      return divisor == -1 || integer % divisor == 0
    case .lower, .upper:
      let method = JinjaFunction.method(.string(value.text), test == .lower ? "islower" : "isupper")
      return try call(.function(method), CallArguments()).isTrue
    case .sameas: return try isSame(value, argument(arguments, of: test))
    case .eq, .equalto: return try holds(.equal, value, argument(arguments, of: test))
    case .ne: return try holds(.notEqual, value, argument(arguments, of: test))
    case .lt, .lessthan: return try holds(.less, value, argument(arguments, of: test))
    case .le: return try holds(.lessOrEqual, value, argument(arguments, of: test))
    case .gt, .greaterthan: return try holds(.greater, value, argument(arguments, of: test))
    case .ge: return try holds(.greaterOrEqual, value, argument(arguments, of: test))
    case .in: return try holds(.isIn, value, argument(arguments, of: test))
    }
    return false
  }

  private func argument(_ arguments: CallArguments, of test: JinjaTest) throws -> JinjaValue {
    guard let value = try arguments.bound(to: "other", in: test.rawValue)[0] else {
      throw Failure("test '\(test.rawValue)' takes an argument")
    }
    return value
  }

  /// Python's `is`, which holds for equal values of one kind that Python has once.
  private func isSame(_ first: JinjaValue, _ second: JinjaValue) -> Bool {
    switch (first, second) {
    case (.none, .none): true
    case (.boolean(let first), .boolean(let second)): first == second
    case (.integer(let first), .integer(let second)): first == second
    case (.string(let first), .string(let second)): first == second
    case (.namespace(let first), .namespace(let second)): first === second
    default: false
    }
  }
}
