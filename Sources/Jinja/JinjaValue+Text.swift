/// How Python prints values: `str`, `repr` and `json.dumps`.
extension JinjaValue {
  /// Python's `str(value)`.
  var text: MarkedText {
    switch self {
    case .undefined: MarkedText()
    case .string(let text): text
    default: representation
    }
  }

  /// Python's `repr(value)`.
  private var representation: MarkedText {
    switch self {
    case .undefined: return MarkedText("Undefined")
    case .none: return MarkedText("None")
    case .boolean(let value): return MarkedText(value ? "True" : "False")
    case .integer(let value): return MarkedText("\(value)")
    case .float(let value): return MarkedText(Self.python(value))
    case .string(let text): return Self.quoted(text)
    case .list(let elements): return Self.joined(elements.map(\.representation), "[", "]")
    case .tuple(let elements):
      return Self.joined(elements.map(\.representation), "(", elements.count == 1 ? ",)" : ")")
    case .mapping(let members):
      return Self.joined(members.map { Self.quoted($0.key) + MarkedText(": ") + $0.value.representation }, "{", "}")
    case .namespace: return MarkedText("<Namespace>")
    case .loop(let loop): return MarkedText("<LoopContext \(loop.index + 1)/\(loop.elements.count)>")
    case .function: return MarkedText("<function>")
    }
  }

  private static func joined(_ parts: [MarkedText], _ start: String, _ end: String) -> MarkedText {
    var text = MarkedText(start)
    for (index, part) in parts.enumerated() {
      if index > 0 { text.append(", ") }
      text.append(part)
    }
    text.append(end)
    return text
  }

  private static func python(_ value: Double) -> String {
    value.isNaN ? "nan" : value.isInfinite ? (value < 0 ? "-inf" : "inf") : "\(value)"
  }

  private static func quoted(_ text: MarkedText) -> MarkedText {
    let hasSingle = text.bytes.contains(UInt8(ascii: "'")), hasDouble = text.bytes.contains(UInt8(ascii: "\""))
    let quote: Unicode.Scalar = hasSingle && !hasDouble ? "\"" : "'"
    let body = text.mapScalars { scalar in
      switch scalar {
      case quote, "\\": "\\\(scalar)"
      case "\n": "\\n"
      case "\r": "\\r"
      case "\t": "\\t"
      default: scalar.isPythonPrintable ? String(scalar) : scalar.pythonEscape
      }
    }
    return MarkedText(String(quote)) + body + MarkedText(String(quote))
  }
}

extension Unicode.Scalar {
  /// Python's `str.isprintable` of one character.
  fileprivate var isPythonPrintable: Bool {
    switch properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
    case .spaceSeparator: self == " "
    default: true
    }
  }

  fileprivate var pythonEscape: String {
    switch value {
    case 0..<0x100: "\\x" + hexadecimal(2)
    case 0x100..<0x10000: "\\u" + hexadecimal(4)
    default: "\\U" + hexadecimal(8)
    }
  }

  fileprivate func hexadecimal(_ width: Int) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}

/// Writes values as `json.dumps` does.
struct JSONWriter {
  /// What is put between elements and between key and value.
  var separators: (element: String, key: String)
  /// The white space of one level; nil for one line.
  var indent: String?
  var isASCII = false
  var sortsKeys = false
  private(set) var output = MarkedText()

  init(indent: String?) {
    self.indent = indent
    separators = (indent == nil ? ", " : ",", ": ")
  }

  mutating func write(_ value: JinjaValue, level: Int = 0) throws {
    switch value {
    case .none: output.append("null")
    case .boolean(let value): output.append(value ? "true" : "false")
    case .integer(let value): output.append("\(value)")
    case .float(let value):
      output.append(value.isNaN ? "NaN" : value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : "\(value)")
    case .string(let text): write(text)
    case .list(let elements), .tuple(let elements):
      try collection("[", "]", elements, level) { try $0.write($1, level: level + 1) }
    case .mapping(let members):
      let pairs = sortsKeys ? members.elements.sorted { $0.key < $1.key } : Array(members.elements)
      try collection("{", "}", pairs, level) { writer, member in
        writer.write(member.key)
        writer.output.append(writer.separators.key)
        try writer.write(member.value, level: level + 1)
      }
    default: throw Failure("a value of type \(value.typeName) is not JSON serializable")
    }
  }

  private mutating func collection<Element>(
    _ start: String, _ end: String, _ elements: [Element], _ level: Int,
    _ write: (inout JSONWriter, Element) throws -> Void
  ) throws {
    output.append(start)
    for (index, element) in elements.enumerated() {
      if index > 0 { output.append(separators.element) }
      if let indent { output.append("\n" + String(repeating: indent, count: level + 1)) }
      try write(&self, element)
    }
    if let indent, !elements.isEmpty { output.append("\n" + String(repeating: indent, count: level)) }
    output.append(end)
  }

  private mutating func write(_ text: MarkedText) {
    output.append("\"")
    output.append(
      text.mapScalars { scalar in
        switch scalar {
        case "\"", "\\": "\\\(scalar)"
        case "\n": "\\n"
        case "\r": "\\r"
        case "\t": "\\t"
        case "\u{8}": "\\b"
        case "\u{C}": "\\f"
        case _ where scalar.value < 0x20 || (isASCII && scalar.value > 0x7E):
          scalar.value < 0x10000 ? "\\u" + scalar.hexadecimal(4) : UTF16.escaped(scalar)
        default: String(scalar)
        }
      })
    output.append("\"")
  }
}

extension UTF16 {
  /// A surrogate pair as JSON escapes it.
  fileprivate static func escaped(_ scalar: Unicode.Scalar) -> String {
    "\\u\(String(leadSurrogate(scalar), radix: 16))\\u\(String(trailSurrogate(scalar), radix: 16))"
  }
}
