import WidebandCheckedInput

/// Mutations of a JSON document, most of which are valid JSON.
enum JSONMutation {
  /// A document with one to four mutations, as bytes.
  static func mutated(_ document: JSONValue, _ random: inout Randomness) -> [UInt8] {
    var document = document
    for _ in 0...random.below(4) { change(&document, &random) }
    var text: [UInt8] = []
    write(document, to: &text, &random)
    if random.once(in: 12) { ByteMutation.apply(&text, &random) }
    return text
  }

  private static func change(_ value: inout JSONValue, _ random: inout Randomness) {
    switch value {
    case .object(var members) where members.count > 0:
      let key = random.pick(members.keys)
      switch random.below(8) {
      case 0: members[key] = nil
      case 1: members[random.pick(keys)] = random.pick(values)
      case 2: members[key + random.pick(["_", " ", "\u{301}"])] = members[key]
      case 3: members[key] = random.pick(values)
      case 4: members[key] = members[random.pick(members.keys)]
      default:
        var member = members[key] ?? .null
        change(&member, &random)
        members[key] = member
      }
      value = .object(members)
    case .array(var elements) where !elements.isEmpty:
      let index = random.below(elements.count)
      switch random.below(6) {
      case 0: elements.remove(at: index)
      case 1: elements.insert(random.pick(values), at: index)
      case 2: elements.append(elements[index])
      default: change(&elements[index], &random)
      }
      value = .array(elements)
    case .number(let number) where random.once(in: 2):
      value = .number(
        JSONNumber(random.pick(["-", "1", "10", ""]) + number.text + random.pick(["", "0", ".5", "e9"])))
    case .string(let text) where random.once(in: 2):
      value = .string(random.pick([text + text, String(text.dropLast()), text.uppercased(), "\u{1B}[31m" + text]))
    default: value = random.pick(values)
    }
  }

  private static let keys = [
    "", "x", "__metadata__", "type", "model", "dtype", "\u{E9}", "e\u{301}", "text", "messages",
  ]

  /// Critical values.
  static let values: [JSONValue] =
    [
      "0", "-1", "1", "2", "3", "7", "0.5", "-0.0", "1e-320", "1e308", "1e400", "-1e400", "NaN", "Infinity",
      "2147483648", "4294967296", "16777217", "1073741824", "1099511627777", "9223372036854775807",
      "9223372036854775808", "-9223372036854775808", "18446744073709551616", "340282366920938463463374607431768211456",
    ].map { .number(JSONNumber($0)) } + [
      .null, .boolean(true), .boolean(false), .array([]), .object(JSONObject()), .string(""), .string("../x"),
      .string("\u{0}"), .string("\u{E9}"), .string("e\u{301}"), .string("\u{1B}[2J"), .loneSurrogate,
      .string(String(repeating: "x", count: 5000)), .string("(a+)+$"), .string("float32"), .string("[UNK]"),
      .array([.number(JSONNumber("1"))]), nested(100), nested(1000),
    ]

  private static func nested(_ depth: Int) -> JSONValue {
    (0..<depth).reduce(.null) { value, _ in .array([value]) }
  }

  /// Writes a value, sometimes with a key that occurs twice.
  static func write(_ value: JSONValue, to text: inout [UInt8], _ random: inout Randomness) {
    switch value {
    case .null: text += "null".utf8
    case .boolean(let flag): text += "\(flag)".utf8
    case .number(let number): text += number.text.utf8
    case .loneSurrogate: text += "\"\\ud800\"".utf8
    case .string(let string): write(string, to: &text)
    case .array(let elements):
      text.append(UInt8(ascii: "["))
      for (index, element) in elements.enumerated() {
        if index > 0 { text.append(UInt8(ascii: ",")) }
        write(element, to: &text, &random)
      }
      text.append(UInt8(ascii: "]"))
    case .object(let members):
      text.append(UInt8(ascii: "{"))
      for (index, member) in members.enumerated() {
        if index > 0 { text.append(UInt8(ascii: ",")) }
        for value in random.once(in: 400) ? [random.pick(values), member.value] : [member.value] {
          if text.last != UInt8(ascii: "{") && text.last != UInt8(ascii: ",") { text.append(UInt8(ascii: ",")) }
          write(member.key, to: &text)
          text.append(UInt8(ascii: ":"))
          write(value, to: &text, &random)
        }
      }
      text.append(UInt8(ascii: "}"))
    }
  }

  private static func write(_ string: String, to text: inout [UInt8]) {
    text.append(UInt8(ascii: "\""))
    for byte in string.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): text += [UInt8(ascii: "\\"), byte]
      case ..<0x20: text += "\\u00\(byte < 16 ? "0" : "")\(String(byte, radix: 16))".utf8
      default: text.append(byte)
      }
    }
    text.append(UInt8(ascii: "\""))
  }
}
