/// A JSON value together with where it is, so that every error about it can say so.
///
/// For documents whose form depends on what they say; what has one form is read by ``ValueDecoder``.
public struct JSONNode: Sendable {
  /// The value.
  public let value: JSONValue
  /// The keys that lead to the value: "model.type"; empty for the document.
  public let path: String
  /// What messages call the document.
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

  /// The member called `key`, which must be there.
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

  /// A text.
  public func string() throws -> String {
    guard case .string(let string) = value else { throw failure(expected: "a string") }
    return string
  }

  /// True or false.
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
  /// - Parameter what: what messages call such a number, such as "an id".
  public func integer(_ what: String, in range: ClosedRange<Int>) throws -> Int {
    guard case .number(let number) = value, let integer = number.integer, range.contains(integer) else {
      throw failure(expected: "\(what) \(describe(range))")
    }
    return integer
  }
}
