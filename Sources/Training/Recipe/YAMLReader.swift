import WidebandCheckedInput
import Yams

/// Reads YAML into the tree that `ValueDecoder` decodes.
///
/// A document consists of mappings with unique strings as keys. Its depth is bounded, and so are the number of values
/// and of aliases, as aliases of aliases grow exponentially.
package struct YAMLReader {
  /// The beginning of error messages.
  private let name: String
  /// Whether errors name the line; a value on the command line has no lines.
  private let hasLines: Bool
  private var remainingValues = 100_000

  private static let maximumDepth = 32
  private static let maximumAliases = 20

  /// The value of a document; nil for an empty document.
  ///
  /// - Parameters:
  ///   - name: the beginning of error messages, such as the file's name.
  ///   - hasLines: whether errors name the line.
  ///   - schema: the keys whose values are strings, even if they look like numbers or booleans.
  /// - Throws: `InputError` that names the line.
  package static func value(
    _ text: String, name: String, hasLines: Bool = true, schema: RecipeSchema
  ) throws -> JSONValue? {
    var reader = YAMLReader(name: name, hasLines: hasLines)
    let text = text.hasPrefix("\u{FEFF}") ? String(text.dropFirst()) : text
    try reader.refuseManyAliases(text)
    let node: Node?
    do { node = try Yams.compose(yaml: text) } catch let error as YamlError { throw reader.failure(error, text) }
    return try node.map { try reader.value(of: $0, schema, depth: 0) }
  }

  private init(name: String, hasLines: Bool) {
    self.name = name
    self.hasLines = hasLines
  }

  // MARK: Values

  private mutating func value(of node: Node, _ schema: RecipeSchema?, depth: Int) throws -> JSONValue {
    remainingValues -= 1
    guard remainingValues >= 0 else { throw InputError("\(name): has more than 100000 values with its aliases") }
    guard depth < Self.maximumDepth else {
      throw failure("more than \(Self.maximumDepth) levels", at: node.mark)
    }
    switch node {
    case .scalar(let scalar): return try value(of: scalar, isText: schema?.isText == true)
    case .sequence(let sequence):
      try refuseTag(sequence.tag, allowing: "seq", at: node.mark)
      return .array(try sequence.map { try value(of: $0, nil, depth: depth + 1) })
    case .mapping(let mapping):
      try refuseTag(mapping.tag, allowing: "map", at: node.mark)
      var members = JSONObject()
      for (keyNode, valueNode) in mapping {
        guard case .scalar(let key) = keyNode else {
          throw failure("a key is a \(keyNode.sequence == nil ? "mapping" : "list"): expected a word", at: keyNode.mark)
        }
        guard members[key.string] == nil else {
          throw failure("the key \(quoted(key.string)) is there twice", at: keyNode.mark)
        }
        members[key.string] = try value(of: valueNode, schema?.child(key.string), depth: depth + 1)
      }
      return .object(members)
    case .alias: throw failure("an alias without its anchor", at: node.mark)
    }
  }

  private func value(of scalar: Node.Scalar, isText: Bool) throws -> JSONValue {
    let tag = try refuseTag(scalar.tag, allowing: "str", "int", "float", "bool", "null", at: scalar.mark)
    // System calls would truncate a path at a zero byte.
    guard !scalar.string.unicodeScalars.contains("\0") else { throw failure("a text has a zero byte", at: scalar.mark) }
    if tag == "str" || (tag == nil && scalar.style != .plain) { return .string(scalar.string) }
    let value = Self.plain(scalar.string)
    if isText, value != .null { return .string(scalar.string) }
    let fits =
      switch (tag, value) {
      case (nil, _), ("int"?, .number), ("float"?, .number), ("bool"?, .boolean), ("null"?, .null): true
      default: false
      }
    guard fits else { throw failure("\(quoted(scalar.string)) has the tag !!\(tag ?? "")", at: scalar.mark) }
    return value
  }

  /// The value of a scalar without quotes.
  private static func plain(_ word: String) -> JSONValue {
    switch word {
    case "", "~", "null", "Null", "NULL": return .null
    case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON": return .boolean(true)
    case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF": return .boolean(false)
    default: return number(word).map { .number($0) } ?? .string(word)
    }
  }

  /// A number in YAML's notation, converted to JSON's. Integers with leading zeros are octal in YAML 1.1 and decimal in
  /// YAML 1.2, so they are not accepted as numbers.
  private static func number(_ word: String) -> JSONNumber? {
    guard word.utf8.count < 400 else { return nil }
    let isNegative = word.hasPrefix("-")
    let digits = (isNegative || word.hasPrefix("+") ? word.dropFirst() : Substring(word))
    let sign = isNegative ? "-" : ""
    switch digits {
    case ".inf", ".Inf", ".INF": return JSONNumber(sign + "Infinity")
    case ".nan", ".NaN", ".NAN": return JSONNumber("NaN")
    default: break
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] where digits.hasPrefix(prefix) {
      let rest = digits.dropFirst(2)
      guard let first = rest.first, first.isHexDigit else { return nil }
      return UInt64(rest.filter { $0 != "_" }, radix: radix).map { JSONNumber("\(sign)\($0)") }
    }
    let isInteger = digits.wholeMatch(of: /(0|[1-9][0-9]*(_[0-9]+)*)/) != nil
    let isFloat = digits.wholeMatch(of: /([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?/) != nil
    guard isInteger || (isFloat && digits.contains { ".eE".contains($0) }) else { return nil }
    return JSONNumber(sign + digits.filter { $0 != "_" })
  }

  // MARK: Errors

  /// The short name of a value's tag; nil without a tag.
  ///
  /// - Throws: `InputError` for a tag other than those of `names`.
  @discardableResult
  private func refuseTag(_ tag: Tag, allowing names: String..., at mark: Mark?) throws -> String? {
    // The tag "!" marks a plain scalar as a string.
    guard tag.description != "", tag.description != "!" else { return tag.description == "!" ? names[0] : nil }
    let prefix = "tag:yaml.org,2002:"
    let short = tag.description.hasPrefix(prefix) ? String(tag.description.dropFirst(prefix.count)) : nil
    guard let short, names.contains(short) else {
      throw failure("the tag \(quoted(short.map { "!!\($0)" } ?? tag.description)) means nothing here", at: mark)
    }
    return short
  }

  private func failure(_ sentence: String, at mark: Mark?) -> InputError { failure(sentence, line: mark?.line) }

  private func failure(_ sentence: String, line: Int?) -> InputError {
    InputError("\(name): \(hasLines ? line.map { "line \($0): " } ?? "" : "")\(sentence)")
  }

  private func failure(_ error: YamlError, _ text: String) -> InputError {
    switch error {
    case .composer(_, "but found another document", let mark, _):
      return failure("a second document begins: expected one", at: mark)
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      // libyaml has a limit on levels too.
      let isTooDeep = problem.contains("max_nest_level")
      return failure(isTooDeep ? "more than \(Self.maximumDepth) levels" : "malformed YAML: \(problem)", at: mark)
    case .reader(let problem, let offset, _, _):
      let line = offset.map { text.prefix($0).count { $0.isNewline } + 1 }
      return failure("malformed YAML: \(problem)", line: line)
    case .duplicatedKeysInMapping(let keys, let context):
      return failure("the key \(quoted(keys.first ?? "")) is there twice", at: context.mark)
    default: return failure("malformed YAML", at: nil)
    }
  }

  /// Checks the number of aliases in the text, as Yams expands them when it compares the keys of a mapping.
  private func refuseManyAliases(_ text: String) throws {
    guard text.contains(/(^|[\s\[{,:?-])&\w/) else { return }
    let aliases = text.matches(of: /(^|[\s\[{,:?-])\*\w/).count
    guard aliases <= Self.maximumAliases else {
      throw InputError("\(name): has \(aliases) aliases: expected at most \(Self.maximumAliases)")
    }
  }
}
