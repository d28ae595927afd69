import Foundation

/// Python's operators on values.
extension JinjaValue {
  static func equal(_ first: JinjaValue, _ second: JinjaValue) -> Bool {
    if let first = first.number, let second = second.number { return first == second }
    switch (first, second) {
    case (.none, .none), (.undefined, .undefined): return true
    case (.string(let first), .string(let second)): return first == second
    case (.list(let first), .list(let second)), (.tuple(let first), .tuple(let second)):
      return first.count == second.count && zip(first, second).allSatisfy(equal)
    case (.mapping(let first), .mapping(let second)):
      return first.count == second.count
        && first.allSatisfy { key, value in second[key].map { equal(value, $0) } ?? false }
    case (.namespace(let first), .namespace(let second)): return first === second
    default: return false
    }
  }

  /// Whether `first < second`.
  static func less(_ first: JinjaValue, _ second: JinjaValue) throws -> Bool {
    if let first = first.number, let second = second.number { return first < second }
    switch (first, second) {
    case (.string(let first), .string(let second)): return first < second
    case (.list(let first), .list(let second)), (.tuple(let first), .tuple(let second)):
      for (first, second) in zip(first, second) where !equal(first, second) { return try less(first, second) }
      return first.count < second.count
    default:
      try first.requireDefined()
      try second.requireDefined()
      throw Failure("'<' between \(first.typeName) and \(second.typeName)")
    }
  }

  /// Python's `element in self`.
  func contains(_ element: JinjaValue) throws -> Bool {
    switch self {
    case .string(let text):
      guard case .string(let part) = element else {
        try element.requireDefined()
        throw Failure("'in' of a str takes a str, not \(element.typeName)")
      }
      return part.isEmpty || !text.ranges(of: part, limit: 1).isEmpty
    case .mapping(let members):
      guard case .string(let key) = element else { return false }
      return members[key] != nil
    default: return try elements().contains { JinjaValue.equal($0, element) }
    }
  }

  func requireDefined() throws {
    if case .undefined(let what) = self { throw Failure(what) }
  }

  /// What iterating over the value yields: keys of a mapping, characters of a text.
  func elements() throws -> [JinjaValue] {
    switch self {
    case .undefined: return []
    case .list(let elements), .tuple(let elements): return elements
    case .mapping(let members): return members.keys.map { .string($0) }
    case .string(let text):
      let offsets = text.scalarOffsets
      return zip(offsets, offsets.dropFirst()).map { .string(text[$0..<$1]) }
    default: throw Failure("a value of type \(typeName) is not iterable")
    }
  }

  /// Python's `len(value)`.
  func length() throws -> Int {
    switch self {
    case .string(let text): text.scalarCount
    default: try elements().count
    }
  }

  static func compute(_ operation: BinaryOperator, _ first: JinjaValue, _ second: JinjaValue) throws -> JinjaValue {
    if operation == .concatenate { return .string(first.text + second.text) }
    try first.requireDefined()
    try second.requireDefined()
    switch (operation, first, second) {
    case (.add, .string(let first), .string(let second)): return .string(first + second)
    case (.add, .list(let first), .list(let second)): return .list(first + second)
    case (.add, .tuple(let first), .tuple(let second)): return .tuple(first + second)
    case (.multiply, .string(let text), _):
      guard let count = second.integer else { break }
      return .string(try repeated(text, count: count))
    case (.multiply, _, .string(let text)):
      guard let count = first.integer else { break }
      return .string(try repeated(text, count: count))
    default: break
    }
    if operation != .divide, let first = first.integer, let second = second.integer,
      operation != .power || second >= 0
    {
      return .integer(try integer(operation, first, second))
    }
    guard let a = first.number, let b = second.number else {
      throw Failure("'\(operation.rawValue)' between \(first.typeName) and \(second.typeName)")
    }
    switch operation {
    case .add: return .float(a + b)
    case .subtract: return .float(a - b)
    case .multiply: return .float(a * b)
    case .power: return .float(pow(a, b))
    default: break
    }
    guard b != 0 else { throw Failure("division by zero") }
    switch operation {
    case .divide: return .float(a / b)
    case .floorDivide: return .float((a / b).rounded(.down))
    default:
      let remainder = fmod(a, b)
      return .float(remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder)
    }
  }

  /// A text a number of times, within the largest size of any limits.
  private static func repeated(_ text: MarkedText, count: Int) throws -> MarkedText {
    let (size, overflow) = text.count.multipliedReportingOverflow(by: max(0, count))
    guard !overflow, size <= JinjaLimits().outputBytes else {
      throw Failure("a text of more than \(JinjaLimits().outputBytes) bytes", kind: .limit)
    }
    var result = MarkedText()
    for _ in 0..<max(0, text.isEmpty ? 0 : count) { result.append(text) }
    return result
  }

  private static func integer(_ operation: BinaryOperator, _ a: Int, _ b: Int) throws -> Int {
    let (value, overflow): (Int, Bool)
    switch operation {
    case .add: (value, overflow) = a.addingReportingOverflow(b)
    case .subtract: (value, overflow) = a.subtractingReportingOverflow(b)
    case .multiply: (value, overflow) = a.multipliedReportingOverflow(by: b)
    case .power:
      let power = pow(Double(a), Double(b))
      (value, overflow) = abs(power) < 0x1p53 ? (Int(power), false) : (0, true)
    default:
      guard b != 0 else { throw Failure("division by zero") }
      let (quotient, isOutside) = a.dividedReportingOverflow(by: b)
      let remainder = isOutside ? 0 : a % b
      let rounds = remainder != 0 && (remainder < 0) != (b < 0)
      value = operation == .floorDivide ? quotient - (rounds ? 1 : 0) : remainder + (rounds ? b : 0)
      overflow = isOutside && operation == .floorDivide
    }
    guard !overflow else { throw Failure("the result of \(a) \(operation.rawValue) \(b) has more than 64 bits") }
    return value
  }

  /// Python's `value[start:stop:step]`.
  func slice(start: JinjaValue?, stop: JinjaValue?, step: JinjaValue?) throws -> JinjaValue {
    func bound(_ value: JinjaValue?) throws -> Int? {
      switch value {
      case nil, .some(.none): return nil
      case let value?:
        guard let integer = value.integer else {
          try value.requireDefined()
          throw Failure("a slice takes integers, not \(value.typeName)")
        }
        return integer
      }
    }
    let step = try bound(step) ?? 1
    guard step != 0, step != .min else { throw Failure("a slice's step cannot be \(step)") }
    let count = try length()
    let (low, high) = step > 0 ? (0, count) : (-1, count - 1)
    func clamped(_ value: Int?, _ fallback: Int) -> Int {
      guard let value else { return fallback }
      return min(max(value < 0 ? max(value, -count - 1) + count : value, low), high)
    }
    let first = clamped(try bound(start), step > 0 ? low : high)
    let last = clamped(try bound(stop), step > 0 ? high : low)
    if case .string(let text) = self, step == 1 {
      let offsets = text.scalarOffsets
      return .string(text[offsets[first]..<offsets[max(first, last)]])
    }
    let elements = try elements()
    let chosen = Swift.stride(from: first, to: last, by: step).map { elements[$0] }
    switch self {
    case .string: return .string(chosen.reduce(into: MarkedText()) { $0.append($1.text) })
    case .tuple: return .tuple(chosen)
    case .list: return .list(chosen)
    default:
      try requireDefined()
      throw Failure("a value of type \(typeName) has no slices")
    }
  }
}
