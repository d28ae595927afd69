/// A JSON value together with its path, so that every error about it names the key.
///
/// For documents whose structure depends on their values; documents of one structure are decoded by ``ValueDecoder``.
public struct JSONNode: Sendable {
  /// The value.
  public let value: JSONValue
  /// The keys that lead to the value: "model.type"; empty for the document.
  public let path: String
  /// The document's name in messages.
  public let file: String

  /// The root of a document.
  public init(_ value: JSONValue, file: String) { self.init(value: value, path: "", file: file) }

  /// A value at a path of a document.
  public init(value: JSONValue, path: String, file: String) {
    self.value = value
    self.path = path
    self.file = file
  }

  /// An error that names the file, the key and the value.
  public func failure(expected: String) -> InputError {
    InputError("\(file): \(path.isEmpty ? "the document" : path) is \(value.summary): expected \(expected)")
  }

  private func path(of key: String) -> String { path.isEmpty ? printable(key) : "\(path).\(printable(key))" }

  /// The member called `key`, or nil when it is absent or null.
  public func member(_ key: String) throws -> JSONNode? {
    guard case .object(let members) = value else { throw failure(expected: "an object") }
    guard let member = members[key], member != .null else { return nil }
    return JSONNode(value: member, path: path(of: key), file: file)
  }

  /// The member called `key`.
  ///
  /// - Throws: `InputError` when it is absent or null.
  public func required(_ key: String) throws -> JSONNode {
    guard let member = try member(key) else { throw InputError("\(file): \(path(of: key)) is missing") }
    return member
  }

  /// All members in their order.
  public func members() throws -> [(key: String, node: JSONNode)] {
    guard case .object(let members) = value else { throw failure(expected: "an object") }
    return members.map { ($0.key, JSONNode(value: $0.value, path: path(of: $0.key), file: file)) }
  }

  /// The elements of a list.
  public func elements() throws -> [JSONNode] {
    guard case .array(let elements) = value else { throw failure(expected: "a list") }
    return elements.enumerated().map { JSONNode(value: $1, path: "\(path)[\($0)]", file: file) }
  }

  /// The value of a string.
  public func string() throws -> String {
    guard case .string(let string) = value else { throw failure(expected: "a string") }
    return string
  }

  /// The value of true or false.
  public func boolean() throws -> Bool {
    guard case .boolean(let boolean) = value else { throw failure(expected: "true or false") }
    return boolean
  }

  /// The flag called `key`, or `fallback` when it is absent or null.
  public func flag(_ key: String, default fallback: Bool) throws -> Bool {
    try member(key)?.boolean() ?? fallback
  }

  /// An integer within bounds.
  ///
  /// - Parameter what: the number's name in messages, such as "an id".
  public func integer(_ what: String, in range: ClosedRange<Int>) throws -> Int {
    guard case .number(let number) = value, let integer = number.integer, range.contains(integer) else {
      throw failure(expected: "\(what) \(describe(range))")
    }
    return integer
  }

  /// A number.
  ///
  /// - Parameter range: the bounds; nil for any finite number.
  public func number(in range: ClosedRange<Double>? = nil) throws -> Double {
    guard let double = value.number?.double, range?.contains(double) ?? true else {
      throw failure(expected: "a number" + (range.map { " \(describe($0))" } ?? ""))
    }
    return double
  }
}
