import CheckedInput

/// One thing that a run writes down about a step.
public enum MetricsValue: Hashable, Sendable {
  /// A measurement. Written with as many digits as it takes to read the very same number back.
  case number(Double)
  /// A count.
  case integer(Int)
  /// A name or a sample.
  case text(String)

  /// The number, if it is one; "nan", "-nan", "inf" and "-inf", in any case, stand for those numbers.
  public var number: Double? {
    switch self {
    case .number(let value): value
    case .integer(let value): Double(value)
    case .text(let text): ["nan": .nan, "-nan": .nan, "inf": .infinity, "-inf": -.infinity][text.lowercased()]
    }
  }

  /// The value in JSON, which has no names for numbers that are not finite: they become text.
  var json: String {
    switch self {
    case .number(let value): value.isFinite ? "\(value)" : "\"\(value)\""
    case .integer(let value): "\(value)"
    case .text(let text): Self.quoted(text)
    }
  }

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
  /// A number, finite or not, or a text; nil for whatever else a line of another tool may have.
  init?(_ value: JSONValue) {
    switch value {
    case .number(let number): self = .number(number.double ?? Self.infinite(number.text))
    case .string(let text): self = .text(text)
    default: return nil
    }
  }

  /// What a number stands for that no `Double` holds: too large, or a name that Python has for it.
  private static func infinite(_ text: String) -> Double {
    text == "NaN" ? .nan : text.hasPrefix("-") ? -.infinity : .infinity
  }
}
