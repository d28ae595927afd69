import Foundation
import OrderedCollections

/// The filters of Jinja that chat templates use, and transformers' `tojson`.
enum JinjaFilter: String, CaseIterable {
  case abs, capitalize, count, d, `default`, dictsort, first, float, groupby, indent, int, items, join, last, length
  case list, lower, map, max, min, reject, rejectattr, replace, reverse, round, safe, select, selectattr, sort, string
  case sum, title, tojson, trim, unique, upper

  init?(_ name: String) { self.init(rawValue: name) }
}

extension Interpreter {
  func filter(_ filter: JinjaFilter, _ value: JinjaValue, _ arguments: CallArguments) throws -> JinjaValue {
    try spend(on: value)
    let result = try filtered(filter, value, arguments)
    try spend(on: result)
    return result
  }

  private func filtered(_ filter: JinjaFilter, _ value: JinjaValue, _ arguments: CallArguments) throws -> JinjaValue {
    let name = filter.rawValue
    switch filter {
    case .default, .d:
      let bound = try arguments.bound(to: "default_value", "boolean", in: name)
      let isMissing = value.isUndefined || (bound[1]?.isTrue == true && !value.isTrue)
      return isMissing ? bound[0] ?? .trusted("") : value
    case .length, .count: return .integer(try value.length())
    case .string: return .string(value.text)
    case .safe: return value.isUndefined ? .trusted("") : value
    case .list: return .list(try value.elements())
    case .first, .last:
      let elements = try value.elements()
      return (filter == .first ? elements.first : elements.last) ?? .undefined("no \(name) item, sequence was empty")
    case .tojson: return try json(value, arguments)
    case .trim:
      let characters = try arguments.bound(to: "chars", in: name)[0].map { Set($0.text.string.unicodeScalars) }
      return .string(value.text.trimmed { characters?.contains($0) ?? $0.isPythonSpace })
    case .upper, .lower, .capitalize:
      return try call(.function(.method(.string(value.text), name)), CallArguments())
    case .title: return .string(value.text.titledByFilter)
    case .replace:
      let bound = try arguments.bound(to: "old", "new", "count", in: name)
      guard let old = bound[0], let new = bound[1] else { throw Failure("replace takes an old and a new text") }
      return .string(
        try value.text.replacing(old.text, with: new.text, limit: bound[2]?.integer ?? -1, budget))
    case .join:
      let bound = try arguments.bound(to: "d", "attribute", in: name)
      let elements = try value.elements().map { try bound[1].map(attributePath)?($0) ?? $0 }
      return .string(elements.joined(separator: bound[0]?.text ?? MarkedText()))
    case .int: return try integer(value, arguments)
    case .float:
      let fallback = try arguments.bound(to: "default", in: name)[0] ?? .float(0)
      if case .string(let text) = value { return Double(text.string).map { .float($0) } ?? fallback }
      return value.number.map { .float($0) } ?? fallback
    case .abs:
      if let integer = value.integer { return .integer(Swift.abs(integer)) }
      guard let number = value.number else { throw Failure("abs of a value of type \(value.typeName)") }
      return .float(Swift.abs(number))
    case .round: return try rounded(value, arguments)
    case .indent: return try indented(value.text, arguments)
    case .items:
      if value.isUndefined { return .list([]) }
      return try call(attribute("items", of: value), CallArguments())
    case .reverse:
      let reversed = Array(try value.elements().reversed())
      guard case .string = value else { return .list(reversed) }
      return .string(reversed.joined(separator: MarkedText()))
    case .map: return .list(try mapped(value.elements(), arguments))
    case .select, .reject, .selectattr, .rejectattr:
      return .list(try selected(filter, value.elements(), arguments))
    case .sort, .dictsort, .unique, .groupby, .min, .max, .sum: return try ordered(filter, value, arguments)
    }
  }

  /// `json.dumps` with the options of transformers' filter.
  private func json(_ value: JinjaValue, _ arguments: CallArguments) throws -> JinjaValue {
    let bound = try arguments.bound(to: "ensure_ascii", "indent", "separators", "sort_keys", in: "tojson")
    let indent: String? =
      switch bound[1] {
      case .string(let text)?: text.string
      case .integer(let count)?: String(repeating: " ", count: Swift.min(Swift.max(count, 0), 64))
      default: nil
      }
    var writer = JSONWriter(indent: indent)
    writer.isASCII = bound[0]?.isTrue ?? false
    writer.sortsKeys = bound[3]?.isTrue ?? false
    if let separators = try bound[2].flatMap({ value -> [JinjaValue]? in
      if case .none = value { nil } else { try value.elements() }
    }) {
      guard separators.count == 2 else { throw Failure("separators are two texts") }
      writer.separators = (separators[0].text.string, separators[1].text.string)
    }
    try writer.write(value)
    return .string(writer.output)
  }

  private func integer(_ value: JinjaValue, _ arguments: CallArguments) throws -> JinjaValue {
    let bound = try arguments.bound(to: "default", "base", in: "int")
    let fallback = bound[0] ?? .integer(0)
    switch value {
    case .string(let text):
      let text = text.trimmed(where: \.isPythonSpace).string
      let base = bound[1]?.integer ?? 10
      guard (2...36).contains(base) else { throw Failure("int's base is \(base): expected 2 to 36") }
      if let integer = Int(text, radix: base) { return .integer(integer) }
      return Double(text).flatMap { Int(exactly: $0.rounded(.towardZero)) }.map { .integer($0) } ?? fallback
    case .float(let number): return Int(exactly: number.rounded(.towardZero)).map { .integer($0) } ?? fallback
    default: return value.integer.map { .integer($0) } ?? fallback
    }
  }

  private func rounded(_ value: JinjaValue, _ arguments: CallArguments) throws -> JinjaValue {
    let bound = try arguments.bound(to: "precision", "method", in: "round")
    guard let number = value.number else { throw Failure("round of a value of type \(value.typeName)") }
    let factor = pow(10, Double(bound[0]?.integer ?? 0))
    let rule: FloatingPointRoundingRule
    switch bound[1]?.text.string {
    case "ceil": rule = .up
    case "floor": rule = .down
    default: rule = .toNearestOrEven
    }
    return .float((number * factor).rounded(rule) / factor)
  }

  private func indented(_ text: MarkedText, _ arguments: CallArguments) throws -> JinjaValue {
    let bound = try arguments.bound(to: "width", "first", "blank", in: "indent")
    let indentation: MarkedText
    switch bound[0] {
    case .string(let text)?: indentation = text
    case let width:
      indentation = MarkedText(String(repeating: " ", count: Swift.min(Swift.max(width?.integer ?? 4, 0), 1024)))
    }
    var lines = text.lines
    if text.bytes.last == UInt8(ascii: "\n") || text.isEmpty { lines.append(MarkedText()) }
    var result = MarkedText()
    for (index, line) in lines.enumerated() {
      if index > 0 { result.append("\n") }
      let isIndented = index > 0 ? !line.isEmpty || bound[2]?.isTrue == true : bound[1]?.isTrue == true
      if isIndented { result.append(indentation) }
      result.append(line)
      try budget.spend(bytes: result.count - Swift.min(result.count, line.count))
    }
    return .string(result)
  }
}

extension MarkedText {
  /// Jinja's `title`: words are separated by white space and brackets, unlike those of Python's `str.title`.
  fileprivate var titledByFilter: MarkedText {
    var isInWord = false
    return mapScalars { scalar in
      let isSeparator = scalar.isPythonSpace || "-({[<".unicodeScalars.contains(scalar)
      defer { isInWord = !isSeparator }
      if isSeparator { return String(scalar) }
      return isInWord ? scalar.properties.lowercaseMapping : scalar.properties.uppercaseMapping
    }
  }
}
