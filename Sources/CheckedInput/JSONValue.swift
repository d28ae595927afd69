import OrderedCollections

/// A JSON value in memory, with numbers as they are spelled in the file.
public enum JSONValue: Sendable, Hashable {
  case null
  case boolean(Bool)
  case number(JSONNumber)
  case string(String)
  /// A string with half of a surrogate pair, which is not Unicode text. It is an error only where a string is read.
  case loneSurrogate
  case array([JSONValue])
  case object(JSONObject)

  /// The number; nil for a value of any other kind.
  public var number: JSONNumber? {
    guard case .number(let number) = self else { return nil }
    return number
  }

  /// The value as a message shows it: short, on one line.
  public var summary: String {
    switch self {
    case .null: "null"
    case .boolean(let value): "\(value)"
    case .number(let number): printable(number.text, limit: 40)
    case .string(let text): quoted(text)
    case .loneSurrogate: "a string with half of a surrogate pair"
    case .array: "a list"
    case .object: "an object"
    }
  }
}

/// A number as it is spelled, so that neither size nor precision is lost before its type is known.
public struct JSONNumber: Sendable, Hashable {
  /// The digits, or one of Python's NaN, Infinity and -Infinity.
  public let text: String

  /// A number of the given spelling.
  public init(_ text: String) { self.text = text }

  /// The value, if it is an integer of 64 bits; 2.0 and 1e3 are integers too.
  public var integer: Int? { Int(text) ?? double.flatMap { abs($0) <= 0x1p53 ? Int(exactly: $0) : nil } }

  /// The value, if it is an integer from 0 below 2^64.
  public var unsigned: UInt64? { UInt64(text) ?? integer.flatMap(UInt64.init(exactly:)) }

  /// The nearest floating-point number; nil for one that is too large, and for no number at all.
  public var double: Double? { Double(text).flatMap { $0.isFinite ? $0 : nil } }
}

/// The members of a JSON object in file order. If a key occurs several times, its last value counts, as in Python,
/// JavaScript and jq.
public struct JSONObject: Sendable, Hashable, Sequence {
  private var members: OrderedDictionary<ExactString, JSONValue> = [:]

  /// An empty object.
  public init() {}

  /// The value of a key; nil removes it. Keys are compared by their bytes.
  public subscript(key: String) -> JSONValue? {
    get { members[ExactString(key)] }
    set { members[ExactString(key)] = newValue }
  }

  /// The number of members.
  public var count: Int { members.count }

  /// The keys in their order.
  public var keys: [String] { members.keys.map(\.description) }

  /// Iterates over the members in file order.
  public func makeIterator() -> some IteratorProtocol<(key: String, value: JSONValue)> {
    members.lazy.map { (key: $0.description, value: $1) }.makeIterator()
  }

  /// Whether both have the same keys with the same values, in any order.
  public static func == (first: JSONObject, second: JSONObject) -> Bool {
    first.count == second.count && first.members.allSatisfy { second.members[$0] == $1 }
  }

  /// Hashes the number of members, which does not depend on their order.
  public func hash(into hasher: inout Hasher) { hasher.combine(count) }
}

extension JSONValue: Decodable {
  /// Always fails: ``ValueDecoder`` passes its own tree instead of calling this.
  public init(from decoder: any Decoder) throws {
    throw DecodingError.dataCorrupted(
      .init(codingPath: decoder.codingPath, debugDescription: "a JSONValue is read by ValueDecoder alone"))
  }
}
