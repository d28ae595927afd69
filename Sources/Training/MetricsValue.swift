import Foundation

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

extension MetricsValue: Decodable {
  /// Reads a number, whole or not, or a string.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let value = try? container.decode(Double.self) {
      self = .number(value)
    } else {
      self = .text(try container.decode(String.self))
    }
  }
}
