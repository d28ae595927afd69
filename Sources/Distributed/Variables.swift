import WidebandCheckedInput

/// Environment variables, with errors that name them. An empty one is as none.
struct Variables {
  private let values: [String: String]

  init(_ values: [String: String]) { self.values = values.filter { !$0.value.isEmpty } }

  subscript(name: String) -> String? { values[name] }

  /// The value of a variable that may be missing.
  ///
  /// - Parameter other: a variable that must not be there without this one.
  func integer(_ name: String, in range: ClosedRange<Int>, with other: String? = nil) throws -> Int? {
    guard let value = values[name] else {
      if let other, values[other] != nil { throw missing(name, with: other) }
      return nil
    }
    guard let number = Int(value), range.contains(number) else {
      throw wrong(name, "expected an integer from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// The value of a variable that another one demands.
  func required(_ name: String, in range: ClosedRange<Int>, with other: String) throws -> Int {
    guard let number = try integer(name, in: range, with: other) else { throw missing(name, with: other) }
    return number
  }

  /// The text of a variable that another one demands.
  func text(_ name: String, with other: String) throws -> String {
    guard let value = values[name] else { throw missing(name, with: other) }
    return value
  }

  /// The error of a variable with a wrong value.
  func wrong(_ name: String, _ expectation: String) -> DistributedError {
    .wrongWorld("the environment variable \(name) is \(quoted(values[name] ?? "")): \(expectation)")
  }

  private func missing(_ name: String, with other: String) -> DistributedError {
    .wrongWorld(
      "the environment variable \(other) is \(quoted(values[other] ?? "")): expected \(name) to be set with it")
  }
}
