/// The methods of Python's `str`, `dict` and `list` that do not change their object.
enum JinjaMethod: String {
  case upper, lower, strip, lstrip, rstrip, split, rsplit, splitlines, startswith, endswith, replace, title, capitalize
  case find, rfind, join, removeprefix, removesuffix, isdigit, isalpha, isalnum, isspace, isupper, islower
  case items, keys, values, get
  case index, count

  /// Whether values of the kind of `value` have the method.
  func takes(_ value: JinjaValue) -> Bool {
    switch (self, value) {
    case (.items, .mapping), (.keys, .mapping), (.values, .mapping), (.get, .mapping): true
    case (.index, .list), (.count, .list), (.index, .tuple), (.count, .tuple): true
    case (.items, _), (.keys, _), (.values, _), (.get, _): false
    case (_, .string): true
    default: false
    }
  }

  func call(_ value: JinjaValue, _ arguments: CallArguments, _ budget: Budget) throws -> JinjaValue {
    switch value {
    case .string(let text): try call(text, arguments, budget)
    case .mapping(let members):
      switch self {
      case .items: .list(members.map { .tuple([.string($0.key), $0.value]) })
      case .keys: .list(members.keys.map { .string($0) })
      case .values: .list(Array(members.values))
      default: try get(members: value, arguments)
      }
    default:
      switch self {
      case .count:
        .integer(try value.elements().count { JinjaValue.equal($0, try argument(arguments)) })
      default:
        .integer(try index(of: argument(arguments), in: value))
      }
    }
  }

  private func argument(_ arguments: CallArguments) throws -> JinjaValue {
    guard let value = try arguments.bound(to: "value", in: rawValue)[0] else {
      throw Failure("\(rawValue) takes an argument")
    }
    return value
  }

  private func get(members value: JinjaValue, _ arguments: CallArguments) throws -> JinjaValue {
    let bound = try arguments.bound(to: "key", "default", in: rawValue)
    guard case .mapping(let members) = value, let key = bound[0] else { throw Failure("get takes a key") }
    let fallback = bound[1] ?? .none
    guard case .string(let key) = key else { return fallback }
    return members[key] ?? fallback
  }

  private func index(of element: JinjaValue, in value: JinjaValue) throws -> Int {
    guard let index = try value.elements().firstIndex(where: { JinjaValue.equal($0, element) }) else {
      throw Failure("\(element.text.string) is not in the list")
    }
    return index
  }

  private func call(_ text: MarkedText, _ arguments: CallArguments, _ budget: Budget) throws -> JinjaValue {
    switch self {
    case .upper: return .string(text.mapScalars(\.properties.uppercaseMapping))
    case .lower: return .string(text.mapScalars(\.properties.lowercaseMapping))
    case .title: return .string(text.titled)
    case .capitalize: return .string(text.capitalized)
    case .strip, .lstrip, .rstrip:
      let characters = try string(arguments.bound(to: "characters", in: rawValue)[0]).map {
        Set($0.string.unicodeScalars)
      }
      return .string(
        text.trimmed(start: self != .rstrip, end: self != .lstrip) { characters?.contains($0) ?? $0.isPythonSpace })
    case .split, .rsplit:
      let bound = try arguments.bound(to: "sep", "maxsplit", in: rawValue)
      let limit = bound[1]?.integer ?? -1
      let parts = try text.split(separator: string(bound[0]), limit: limit < 0 ? .max : limit, fromEnd: self == .rsplit)
      try budget.spend(parts.count)
      return .list(parts.map { .string($0) })
    case .splitlines: return .list(text.lines.map { .string($0) })
    case .startswith, .endswith:
      let candidates: [JinjaValue]
      switch try argument(arguments) {
      case .tuple(let elements): candidates = elements
      case let value: candidates = [value]
      }
      return .boolean(
        try candidates.contains { candidate in
          let part = try required(string(candidate)).bytes
          return self == .startswith ? text.bytes.starts(with: part) : text.bytes.suffix(part.count).elementsEqual(part)
        })
    case .replace:
      let bound = try arguments.bound(to: "old", "new", "count", in: rawValue)
      return .string(
        try text.replacing(
          required(string(bound[0])), with: required(string(bound[1])), limit: bound[2]?.integer ?? -1, budget))
    case .find, .rfind, .index, .count:
      let ranges = text.ranges(of: try required(string(argument(arguments))))
      if self == .count { return .integer(ranges.count) }
      guard let range = self == .rfind ? ranges.last : ranges.first else {
        guard self != .index else { throw Failure("substring not found") }
        return .integer(-1)
      }
      return .integer(text[0..<range.lowerBound].scalarCount)
    case .join: return .string(try argument(arguments).elements().joined(separator: text))
    case .removeprefix, .removesuffix:
      let part = try required(string(argument(arguments)))
      let isStart = self == .removeprefix
      guard isStart ? text.bytes.starts(with: part.bytes) : text.bytes.suffix(part.count).elementsEqual(part.bytes)
      else { return .string(text) }
      return .string(isStart ? text[part.count..<text.count] : text[0..<text.count - part.count])
    case .isdigit:
      return .boolean(text.all { $0.properties.numericType == .digit || $0.properties.numericType == .decimal })
    case .isalpha: return .boolean(text.all(\.isPythonLetter))
    case .isalnum: return .boolean(text.all { $0.isPythonLetter || $0.properties.numericType != nil })
    case .isspace: return .boolean(text.all(\.isPythonSpace))
    case .isupper: return .boolean(text.hasCase(\.properties.isUppercase, \.properties.isLowercase))
    case .islower: return .boolean(text.hasCase(\.properties.isLowercase, \.properties.isUppercase))
    case .items, .keys, .values, .get: throw Failure("'str object' has no attribute '\(rawValue)'")
    }
  }

  /// The text of an argument; nil for none and for one that was not passed.
  private func string(_ value: JinjaValue?) throws -> MarkedText? {
    switch value {
    case nil, .some(.none): return nil
    case .string(let text)?: return text
    case let value?:
      try value.requireDefined()
      throw Failure("\(rawValue) takes a str, not \(value.typeName)")
    }
  }

  private func required(_ text: MarkedText?) throws -> MarkedText {
    guard let text else { throw Failure("\(rawValue) takes a str") }
    return text
  }
}

extension Unicode.Scalar {
  fileprivate var isPythonLetter: Bool {
    switch properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
    default: false
    }
  }
}

extension MarkedText {
  fileprivate func all(_ condition: (Unicode.Scalar) -> Bool) -> Bool {
    !isEmpty && string.unicodeScalars.allSatisfy(condition)
  }

  fileprivate func hasCase(_ has: (Unicode.Scalar) -> Bool, _ hasOther: (Unicode.Scalar) -> Bool) -> Bool {
    let scalars = string.unicodeScalars
    return scalars.contains(where: has) && !scalars.contains(where: hasOther)
  }
}
