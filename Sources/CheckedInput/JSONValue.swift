/// A JSON value held in memory, as precisely as the file has it.
public enum JSONValue: Sendable, Hashable {
  case null
  case boolean(Bool)
  case number(JSONNumber)
  case string(String)
  /// A string with half of a surrogate pair, which no text can have. Harmless under a key that is not read.
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

/// A number as it is spelled, so that neither size nor precision is lost before it is known what it is for.
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

/// The members of a JSON object in their order. Of a key that occurs several times the last value counts, as it does
/// for Python, JavaScript and jq.
public struct JSONObject: Sendable, Hashable, Sequence {
  private var places: [ExactString: Int] = [:]
  private var members: [(key: String, value: JSONValue)] = []

  /// An empty object.
  public init() {}

  /// Sets the value of a key, or removes it with nil; keys are the same if all their bytes are.
  public subscript(key: String) -> JSONValue? {
    get { places[ExactString(key)].map { members[$0].value } }
    set {
      let exact = ExactString(key)
      switch (places[exact], newValue) {
      case (let place?, let value?): members[place].value = value
      case (nil, let value?):
        places[exact] = members.count
        members.append((key, value))
      case (let place?, nil):
        members.remove(at: place)
        places = Dictionary(uniqueKeysWithValues: members.enumerated().map { (ExactString($1.key), $0) })
      case (nil, nil): break
      }
    }
  }

  /// How many members there are.
  public var count: Int { members.count }

  /// The keys in their order.
  public var keys: [String] { members.map(\.key) }

  /// Visits the members in their order.
  public func makeIterator() -> IndexingIterator<[(key: String, value: JSONValue)]> { members.makeIterator() }

  /// Whether both have the same keys with the same values; their order does not matter.
  public static func == (first: JSONObject, second: JSONObject) -> Bool {
    first.count == second.count && first.members.allSatisfy { second[$0.key] == $0.value }
  }

  /// Hashes what `==` compares.
  public func hash(into hasher: inout Hasher) { hasher.combine(count) }
}

extension JSONValue: Decodable {
  /// Reads a value of any form; ``ValueDecoder`` hands over its own tree instead.
  public init(from decoder: any Decoder) throws {
    throw DecodingError.dataCorrupted(
      .init(codingPath: decoder.codingPath, debugDescription: "a JSONValue is read by ValueDecoder alone"))
  }
}
