import Foundation
import OrderedCollections

/// The arguments of a call, evaluated.
struct CallArguments {
  var positional: [JinjaValue] = []
  var named: [(name: String, value: JinjaValue)] = []

  /// The value of each parameter, nil for one that was not passed.
  func bound(to parameters: String..., in function: String) throws -> [JinjaValue?] {
    guard positional.count <= parameters.count else {
      throw Failure("\(function) takes \(parameters.count) arguments, not \(positional.count)")
    }
    var values: [JinjaValue?] = positional + Array(repeating: nil, count: parameters.count - positional.count)
    for (name, value) in named {
      guard let index = parameters.firstIndex(of: name), values[index] == nil else {
        throw Failure("\(function) takes no argument '\(name)'")
      }
      values[index] = value
    }
    return values
  }
}

extension Interpreter {
  static func global(_ name: String) -> JinjaValue? {
    switch name {
    case "range": .function(.range)
    case "namespace": .function(.namespace)
    case "dict": .function(.mapping)
    case "raise_exception": .function(.raiseException)
    case "strftime_now": .function(.currentTime)
    default: nil
    }
  }

  /// - Parameter caller: what `caller()` calls inside of a macro; nil outside of `{% call %}`.
  func call(_ callee: JinjaValue, _ arguments: CallArguments, caller: JinjaValue? = nil) throws -> JinjaValue {
    guard case .function(let function) = callee else {
      try callee.requireDefined()
      throw Failure("a value of type \(callee.typeName) cannot be called")
    }
    switch function {
    case .range: return try range(arguments)
    case .namespace:
      let namespace = JinjaNamespace()
      for case .mapping(let members) in arguments.positional {
        for (key, value) in members { namespace.attributes[key.string] = value }
      }
      for (name, value) in arguments.named { namespace.attributes[name] = value }
      return .namespace(namespace)
    case .mapping:
      var members = OrderedDictionary<MarkedText, JinjaValue>()
      for case .mapping(let others) in arguments.positional { members.merge(others) { $1 } }
      for (name, value) in arguments.named { members[MarkedText(name)] = value }
      return .mapping(members)
    case .raiseException:
      let message = try arguments.bound(to: "message", in: "raise_exception")[0]
      throw Failure(message?.text.string ?? "", kind: .raised)
    case .currentTime:
      let format = try arguments.bound(to: "format", in: "strftime_now")[0]
      return .string(MarkedText(Self.time(now, format?.text.string ?? "")))
    case .cycle(let loop):
      guard !arguments.positional.isEmpty else { throw Failure("loop.cycle takes at least one value") }
      return arguments.positional[loop.index % arguments.positional.count]
    case .changed(let loop):
      let values = arguments.positional
      let isSame = loop.watched.map { JinjaValue.equal(.tuple($0), .tuple(values)) } ?? false
      loop.watched = values
      return .boolean(!isSame)
    case .method(let value, let name):
      guard let method = JinjaMethod(rawValue: name) else { throw Failure("no method '\(name)'") }
      try spend(on: value)
      let result = try method.call(value, arguments, budget)
      try spend(on: result)
      return result
    case .macro(let closure): return .string(try expand(closure, arguments, caller))
    }
  }

  private func expand(
    _ closure: MacroClosure, _ arguments: CallArguments, _ caller: JinjaValue?
  ) throws -> MarkedText {
    let macro = closure.macro
    let scope = Scope(parent: closure.scope)
    guard arguments.positional.count <= macro.parameters.count else {
      throw Failure(
        "macro '\(macro.name)' takes \(macro.parameters.count) arguments, not \(arguments.positional.count)")
    }
    for (name, _) in arguments.named where !macro.parameters.contains(where: { $0.name == name }) {
      throw Failure("macro '\(macro.name)' takes no argument '\(name)'")
    }
    for (index, parameter) in macro.parameters.enumerated() {
      let passed = index < arguments.positional.count ? arguments.positional[index] : nil
      let value = passed ?? arguments.named.last { $0.name == parameter.name }?.value
      scope.set(
        parameter.name,
        try value ?? parameter.fallback.map { try evaluate($0, scope) }
          ?? .undefined("parameter '\(parameter.name)' was not provided"))
    }
    if let caller { scope.set("caller", caller) }
    return try captured(macro.body, scope)
  }

  private func range(_ arguments: CallArguments) throws -> JinjaValue {
    let bounds = try arguments.positional.map { value in
      guard let integer = value.integer else {
        try value.requireDefined()
        throw Failure("range takes integers, not \(value.typeName)")
      }
      return integer
    }
    guard (1...3).contains(bounds.count), arguments.named.isEmpty else { throw Failure("range takes 1 to 3 integers") }
    let (start, stop) = bounds.count == 1 ? (0, bounds[0]) : (bounds[0], bounds[1])
    let step = bounds.count == 3 ? bounds[2] : 1
    guard step != 0 else { throw Failure("range's step cannot be 0") }
    let limit = budget.limits.rangeElements
    let elements = stride(from: start, to: stop, by: step).prefix(limit + 1).map { JinjaValue.integer($0) }
    guard elements.count <= limit else { throw Failure("a range of more than \(limit) elements", kind: .limit) }
    try budget.spend(elements.count)
    return .list(elements)
  }

  /// The local time in a format of C's `strftime`.
  private static func time(_ date: Date, _ format: String) -> String {
    var seconds = time_t(date.timeIntervalSince1970.rounded(.down))
    var parts = tm()
    localtime_r(&seconds, &parts)
    var buffer = [CChar](repeating: 0, count: 1024)
    let count = strftime(&buffer, buffer.count, format, &parts)
    return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
