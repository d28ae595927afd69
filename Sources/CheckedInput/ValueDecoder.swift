/// Decodes any `Decodable` from a ``JSONValue``, with one sentence for each error.
///
/// Unlike Foundation's decoder it names the value found and the one expected, does not round integers, takes the last
/// of several equal keys, and skips any value under a key that is not read.
public struct ValueDecoder: Sendable {
  /// The beginning of messages, such as the file's name.
  public let name: String

  /// A decoder whose messages begin with `name`.
  public init(_ name: String) { self.name = name }

  /// The value that `tree` describes.
  ///
  /// - Throws: `InputError`: `name`, the path of the key, the value found and what was expected. Errors of other types
  ///   that a type's own `init(from:)` throws are passed on with `name` before them.
  public func decode<Value: Decodable>(_ type: Value.Type, from tree: JSONValue) throws -> Value {
    do {
      return try Node(value: tree, codingPath: []).decode(type)
    } catch let error as DecodingError {
      throw InputError("\(name): \(error.sentence)")
    } catch let error as InputError {
      throw InputError("\(name): \(error)")
    }
  }
}

extension DecodingError {
  /// The error as one sentence: the key, and the value found and expected where the decoder names them.
  package var sentence: String {
    switch self {
    case .keyNotFound(let key, let context): "\(path(context.codingPath + [key])) is missing"
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
      context.debugDescription.isEmpty ? "\(path(context.codingPath)) cannot be read" : context.debugDescription
    @unknown default: "cannot be read"
    }
  }
}

/// The keys that lead to a value, as a message names it: "model.layers[3].type".
func path(_ keys: [any CodingKey]) -> String {
  let path = keys.reduce("") { path, key in
    key.intValue.map { "\(path)[\($0)]" } ?? (path.isEmpty ? "" : path + ".") + printable(key.stringValue)
  }
  return path.isEmpty ? "the document" : path
}

/// One value of the tree as a `Decoder`.
private struct Node: Decoder, SingleValueDecodingContainer {
  let value: JSONValue
  let codingPath: [any CodingKey]
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func mismatch(_ type: Any.Type, _ expected: String) -> DecodingError {
    let sentence = "\(path(codingPath)) is \(value.summary): expected \(expected)"
    return .typeMismatch(type, .init(codingPath: codingPath, debugDescription: sentence))
  }

  func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    guard case .object(let members) = value else { throw mismatch([String: Any].self, "an object") }
    return KeyedDecodingContainer(Members(members: members, codingPath: codingPath))
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    guard case .array(let elements) = value else { throw mismatch([Any].self, "a list") }
    return Elements(elements: elements, codingPath: codingPath)
  }

  func singleValueContainer() throws -> any SingleValueDecodingContainer { self }

  func decodeNil() -> Bool { value == .null }

  func decode(_ type: Bool.Type) throws -> Bool {
    guard case .boolean(let flag) = value else { throw mismatch(type, "true or false") }
    return flag
  }

  func decode(_ type: String.Type) throws -> String {
    guard case .string(let text) = value else { throw mismatch(type, "a string") }
    return text
  }

  func decode(_ type: Double.Type) throws -> Double {
    guard case .number(let number) = value, let double = number.double else { throw mismatch(type, "a number") }
    return double
  }

  func decode(_ type: Float.Type) throws -> Float { Float(try decode(Double.self)) }

  func integer<Integer: FixedWidthInteger>(_ type: Integer.Type) throws -> Integer {
    guard case .number(let number) = value else { throw mismatch(type, "an integer") }
    if let exact = number.integer {
      guard let result = Integer(exactly: exact) else {
        throw mismatch(type, "an integer from \(Integer.min) to \(Integer.max)")
      }
      return result
    }
    guard let unsigned = number.unsigned, let result = Integer(exactly: unsigned) else {
      let isInteger = number.text.allSatisfy { $0.isASCII && ($0.isNumber || $0 == "-") }
      throw mismatch(type, isInteger ? "an integer from \(Integer.min) to \(Integer.max)" : "an integer")
    }
    return result
  }

  func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
    if let words = choices(of: type) {
      guard case .string(let text) = value, words.contains(where: { ExactString($0) == ExactString(text) }) else {
        throw mismatch(type, "one of \(words.joined(separator: ", "))")
      }
    }
    if let type = type as? any FixedWidthInteger.Type, let integer = try integer(type) as? Value { return integer }
    if type == JSONValue.self, let value = value as? Value { return value }
    return try Value(from: self)
  }
}

/// The raw values of an enumeration of strings; nil for any other type.
private func choices(of type: Any.Type) -> [String]? {
  func words<Word: RawRepresentable & CaseIterable>(_ type: Word.Type) -> [String]? {
    let words = type.allCases.compactMap { $0.rawValue as? String }
    return words.isEmpty ? nil : words
  }
  return (type as? any (RawRepresentable & CaseIterable).Type).flatMap { words($0) }
}

private struct Members<Key: CodingKey>: KeyedDecodingContainerProtocol {
  let members: JSONObject
  let codingPath: [any CodingKey]

  var allKeys: [Key] { members.keys.compactMap(Key.init(stringValue:)) }

  func contains(_ key: Key) -> Bool { members[key.stringValue] != nil }

  private func node(_ key: Key) throws -> Node {
    guard let value = members[key.stringValue] else {
      throw DecodingError.keyNotFound(key, .init(codingPath: codingPath, debugDescription: ""))
    }
    return Node(value: value, codingPath: codingPath + [key])
  }

  func decodeNil(forKey key: Key) throws -> Bool { try node(key).decodeNil() }
  func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value { try node(key).decode(type) }

  func nestedContainer<Nested: CodingKey>(
    keyedBy type: Nested.Type, forKey key: Key
  ) throws -> KeyedDecodingContainer<Nested> { try node(key).container(keyedBy: type) }

  func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
    try node(key).unkeyedContainer()
  }

  func superDecoder() throws -> any Decoder { Node(value: .object(members), codingPath: codingPath) }
  func superDecoder(forKey key: Key) throws -> any Decoder { try node(key) }
}

private struct Elements: UnkeyedDecodingContainer {
  let elements: [JSONValue]
  let codingPath: [any CodingKey]
  var currentIndex = 0

  init(elements: [JSONValue], codingPath: [any CodingKey]) {
    self.elements = elements
    self.codingPath = codingPath
  }

  var count: Int? { elements.count }
  var isAtEnd: Bool { currentIndex == elements.count }

  private struct Index: CodingKey {
    let intValue: Int?
    var stringValue: String { "\(intValue ?? 0)" }
    init(intValue: Int) { self.intValue = intValue }
    init?(stringValue: String) { nil }
  }

  private mutating func next() throws -> Node {
    let key = Index(intValue: currentIndex)
    guard !isAtEnd else { throw DecodingError.keyNotFound(key, .init(codingPath: codingPath, debugDescription: "")) }
    defer { currentIndex += 1 }
    return Node(value: elements[currentIndex], codingPath: codingPath + [key])
  }

  mutating func decodeNil() throws -> Bool {
    guard !isAtEnd, elements[currentIndex] == .null else { return false }
    currentIndex += 1
    return true
  }

  mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try next().decode(type) }

  mutating func nestedContainer<Nested: CodingKey>(
    keyedBy type: Nested.Type
  ) throws -> KeyedDecodingContainer<Nested> { try next().container(keyedBy: type) }

  mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer { try next().unkeyedContainer() }
  mutating func superDecoder() throws -> any Decoder { try next() }
}
