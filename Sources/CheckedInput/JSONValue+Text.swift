extension JSONValue {
  /// The value as JSON on one line, with members in their order.
  ///
  /// - Parameter spaced: whether a space follows each comma and colon, as Python's `json.dumps` writes it.
  public func text(spaced: Bool = false) -> String {
    var bytes: [UInt8] = []
    write(to: &bytes, spaced: spaced)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Appends the text to bytes.
  private func write(to bytes: inout [UInt8], spaced: Bool) {
    func separate(_ separator: String, _ bytes: inout [UInt8]) {
      bytes += separator.utf8
      if spaced { bytes.append(UInt8(ascii: " ")) }
    }
    switch self {
    case .null: bytes += "null".utf8
    case .boolean(let value): bytes += (value ? "true" : "false").utf8
    // Python's NaN and Infinity are not JSON.
    case .number(let number): bytes += (number.double == nil && Int(number.text) == nil ? "null" : number.text).utf8
    case .string(let text): Self.write(text, to: &bytes)
    case .loneSurrogate: Self.write("\u{FFFD}", to: &bytes)
    case .array(let elements):
      bytes.append(UInt8(ascii: "["))
      for (index, element) in elements.enumerated() {
        if index > 0 { separate(",", &bytes) }
        element.write(to: &bytes, spaced: spaced)
      }
      bytes.append(UInt8(ascii: "]"))
    case .object(let members):
      bytes.append(UInt8(ascii: "{"))
      for (index, member) in members.enumerated() {
        if index > 0 { separate(",", &bytes) }
        Self.write(member.key, to: &bytes)
        separate(":", &bytes)
        member.value.write(to: &bytes, spaced: spaced)
      }
      bytes.append(UInt8(ascii: "}"))
    }
  }

  private static func write(_ text: String, to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
      case UInt8(ascii: "\n"): bytes += "\\n".utf8
      case UInt8(ascii: "\r"): bytes += "\\r".utf8
      case UInt8(ascii: "\t"): bytes += "\\t".utf8
      case ..<0x20: bytes += "\\u00\(byte < 0x10 ? "0" : "")\(String(byte, radix: 16))".utf8
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }
}

// Documents that the package writes read like JSON: `["object": "list", "data": []]`.

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
  /// A string.
  public init(stringLiteral value: String) { self = .string(value) }
  /// A number.
  public init(integerLiteral value: Int) { self.init(value) }
  /// True or false.
  public init(booleanLiteral value: Bool) { self = .boolean(value) }

  /// An integer.
  public init(_ value: Int) { self = .number(JSONNumber("\(value)")) }
  /// A string; null for nil.
  public init(_ value: String?) { self = value.map { .string($0) } ?? .null }
}

extension JSONValue: ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral {
  /// A list.
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }

  /// An object with members in the order of the literal.
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    var members = JSONObject()
    for (key, value) in elements { members[key] = value }
    self = .object(members)
  }
}
