/// A JSON value held in memory.
enum JSONValue: Sendable, Equatable {
  case null
  case boolean(Bool)
  case integer(Int)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  /// The value as an error message shows it.
  var summary: String {
    switch self {
    case .null: "null"
    case .boolean(let value): "\(value)"
    case .integer(let value): "\(value)"
    case .number(let value): "\(value)"
    case .string(let value): "\"\(value)\""
    case .array: "an array"
    case .object: "an object"
    }
  }
}

/// A JSON value together with where it stands, so that every error about it can say so.
struct JSONNode {
  let value: JSONValue
  /// The keys that lead to the value: "model.type".
  let path: String
  let file: String

  /// An error that names the file, the key and the value.
  func failure(expected: String) -> TokenizationError {
    TokenizationError("\(file): \(path) is \(value.summary), expected \(expected)")
  }

  /// The member called `key`, or nil when it is absent or null.
  func member(_ key: String) throws -> JSONNode? {
    guard case .object(let members) = value else { throw failure(expected: "an object") }
    guard let member = members[key], member != .null else { return nil }
    return JSONNode(value: member, path: path.isEmpty ? key : "\(path).\(key)", file: file)
  }

  /// The member called `key`, which must be there.
  func required(_ key: String) throws -> JSONNode {
    guard let member = try member(key) else {
      throw TokenizationError("\(file): \(path.isEmpty ? key : "\(path).\(key)") is missing")
    }
    return member
  }

  func string() throws -> String {
    guard case .string(let string) = value else { throw failure(expected: "a string") }
    return string
  }

  func boolean() throws -> Bool {
    guard case .boolean(let boolean) = value else { throw failure(expected: "true or false") }
    return boolean
  }

  func elements() throws -> [JSONNode] {
    guard case .array(let elements) = value else { throw failure(expected: "an array") }
    return elements.enumerated().map { JSONNode(value: $1, path: "\(path)[\($0)]", file: file) }
  }

  /// The flag called `key`, or `fallback` when it is absent or null.
  func flag(_ key: String, default fallback: Bool) throws -> Bool {
    try member(key)?.boolean() ?? fallback
  }

  /// A token id.
  func tokenID() throws -> Int32 {
    guard case .integer(let integer) = value, (0...Vocabulary.maximumID).contains(integer) else {
      throw failure(expected: "an id from 0 to \(Vocabulary.maximumID)")
    }
    return Int32(integer)
  }
}
