import WidebandCheckedInput

/// The kinds of JSON values that a schema allows.
struct ValueKinds: OptionSet, Hashable {
  let rawValue: UInt8

  static let null = ValueKinds(rawValue: 1)
  static let boolean = ValueKinds(rawValue: 2)
  static let integer = ValueKinds(rawValue: 4)
  static let fraction = ValueKinds(rawValue: 8)
  static let string = ValueKinds(rawValue: 16)
  static let array = ValueKinds(rawValue: 32)
  static let object = ValueKinds(rawValue: 64)
  static let number: ValueKinds = [.integer, .fraction]
  static let all: ValueKinds = [.null, .boolean, .number, .string, .array, .object]

  /// The kinds of a name of the keyword "type".
  init?(name: String) {
    switch name {
    case "null": self = .null
    case "boolean": self = .boolean
    case "integer": self = .integer
    case "number": self = .number
    case "string": self = .string
    case "array": self = .array
    case "object": self = .object
    default: return nil
    }
  }

  init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Whether a value is of one of the kinds.
  func allows(_ value: JSONValue) -> Bool {
    switch value {
    case .null: contains(.null)
    case .boolean: contains(.boolean)
    case .number(let number):
      contains(ExactDecimal(number)?.fraction.isEmpty ?? false ? .integer : .fraction)
    case .string, .loneSurrogate: contains(.string)
    case .array: contains(.array)
    case .object: contains(.object)
    }
  }
}
