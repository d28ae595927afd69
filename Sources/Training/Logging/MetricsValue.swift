import WidebandCheckedInput

/// The value of a metric of a step.
public enum MetricsValue: Hashable, Sendable {
  /// A measurement, which is written with enough digits to be read back exactly.
  case number(Double)
  /// A count.
  case integer(Int)
  /// A name or a sample.
  case text(String)

  /// The value as a number; nil for other text than "nan", "-nan", "inf" and "-inf" in upper or lower case.
  public var number: Double? {
    switch self {
    case .number(let value): value
    case .integer(let value): Double(value)
    case .text(let text): ["nan": .nan, "-nan": .nan, "inf": .infinity, "-inf": -.infinity][text.lowercased()]
    }
  }

  /// The value in JSON. Infinite numbers and NaN, which JSON lacks, are written as strings.
  var json: String {
    switch self {
    case .number(let value): value.isFinite ? "\(value)" : "\"\(value)\""
    case .integer(let value): "\(value)"
    case .text(let text): Self.quoted(text)
    }
  }

  /// A text as a JSON string.
  static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}

extension MetricsValue: ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral, ExpressibleByStringLiteral {
  /// A measurement.
  public init(floatLiteral value: Double) { self = .number(value) }
  /// A count.
  public init(integerLiteral value: Int) { self = .integer(value) }
  /// A name or a sample.
  public init(stringLiteral value: String) { self = .text(value) }
}

extension MetricsValue {
  /// The value of a JSON number or string; nil for other types.
  init?(_ value: JSONValue) {
    switch value {
    case .number(let number): self = .number(number.double ?? Self.infinite(number.text))
    case .string(let text): self = .text(text)
    default: return nil
    }
  }

  /// The value of a number that is too large for a `Double`, or one of Python's names of NaN and infinity.
  private static func infinite(_ text: String) -> Double {
    text == "NaN" ? .nan : text.hasPrefix("-") ? -.infinity : .infinity
  }
}
