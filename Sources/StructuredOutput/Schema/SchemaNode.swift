import WidebandCheckedInput

/// A schema that is an object, and its place in the document.
struct SchemaNode {
  let members: JSONObject
  let pointer: String

  subscript(keyword: String) -> JSONValue? { members[keyword] }

  /// The pointer of a subschema.
  func pointer(_ parts: String...) -> String {
    parts.reduce(pointer) { "\($0)/\(escapedPointerToken($1))" }
  }

  func unsupported(_ keyword: String, _ reason: String? = nil) -> JSONGrammarError {
    .unsupported(pointer: pointer, keyword: keyword, reason: reason)
  }

  func malformed(_ keyword: String, expected: String) -> JSONGrammarError {
    .malformed(pointer: pointer, keyword: keyword, expected: expected)
  }

  /// A number of elements or characters.
  func count(_ keyword: String) throws(JSONGrammarError) -> Int? {
    guard let value = members[keyword] else { return nil }
    guard let count = value.number?.integer, count >= 0 else {
      throw malformed(keyword, expected: "an integer from 0")
    }
    return count
  }

  /// An exact number.
  func decimal(_ keyword: String) throws(JSONGrammarError) -> ExactDecimal? {
    guard let value = members[keyword] else { return nil }
    guard let number = value.number, let decimal = ExactDecimal(number) else {
      throw malformed(keyword, expected: "a number of at most 400 digits")
    }
    return decimal
  }

  func string(_ keyword: String) throws(JSONGrammarError) -> String? {
    guard let value = members[keyword] else { return nil }
    guard case .string(let text) = value else { throw malformed(keyword, expected: "a string") }
    return text
  }

  /// A list with at least one element.
  func list(_ keyword: String) throws(JSONGrammarError) -> [JSONValue]? {
    guard let value = members[keyword] else { return nil }
    guard case .array(let elements) = value, !elements.isEmpty else {
      throw malformed(keyword, expected: "a list with at least one element")
    }
    return elements
  }

  /// Refuses keywords which are supported, but not together with another.
  func allow(only allowed: Set<String>, with keyword: String) throws(JSONGrammarError) {
    for key in members.keys where key != keyword && !allowed.contains(key) && !Keywords.annotations.contains(key) {
      throw unsupported(key, "together with \(keyword)")
    }
  }
}

/// A name as a JSON pointer writes it.
func escapedPointerToken(_ name: String) -> String {
  name.replacing("~", with: "~0").replacing("/", with: "~1")
}

/// The keywords of JSON Schema that are known.
enum Keywords {
  /// Keywords without effect on what is valid.
  static let annotations: Set<String> = [
    "title", "description", "default", "example", "examples", "$schema", "$id", "$comment", "$defs", "definitions",
    "deprecated", "readOnly", "writeOnly",
  ]

  static let object: Set<String> = ["properties", "required", "additionalProperties"]
  static let array: Set<String> = ["items", "prefixItems", "minItems", "maxItems"]
  static let string: Set<String> = ["minLength", "maxLength", "pattern", "format"]
  static let number: Set<String> = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]
  static let combinations = ["$ref", "const", "enum", "anyOf", "oneOf", "allOf"]

  static let all = annotations.union(object).union(array).union(string).union(number).union(combinations)
    .union(["type"])
}
