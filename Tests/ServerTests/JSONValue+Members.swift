import WidebandCheckedInput

extension JSONValue {
  /// The member of an object; null if there is none.
  subscript(key: String) -> JSONValue {
    guard case .object(let members) = self else { return .null }
    return members[key] ?? .null
  }

  /// Whether an object has a member, which may be null.
  func has(_ key: String) -> Bool {
    guard case .object(let members) = self else { return false }
    return members[key] != nil
  }

  /// The element of a list; null if there is none.
  subscript(index: Int) -> JSONValue {
    guard case .array(let elements) = self, elements.indices.contains(index) else { return .null }
    return elements[index]
  }

  var count: Int {
    switch self {
    case .array(let elements): elements.count
    case .object(let members): members.count
    default: 0
    }
  }

  var string: String? { if case .string(let text) = self { text } else { nil } }
  var integer: Int? { number?.integer }
}
