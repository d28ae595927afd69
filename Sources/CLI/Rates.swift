import ArgumentParser

/// A network's bits a second in each direction, with a unit: 100Gb/s, 500Mb/s.
struct BitRate {
  let bytesPerSecond: Double

  init(parsing argument: String) throws {
    bytesPerSecond = try quantity(argument, units: [("Tb/s", 1e12), ("Gb/s", 1e9), ("Mb/s", 1e6)]) / 8
  }
}

/// A device's floating-point operations a second, with a unit: 989TFLOP/s, 50GFLOP/s.
struct OperationRate {
  let perSecond: Double

  init(parsing argument: String) throws {
    perSecond = try quantity(argument, units: [("PFLOP/s", 1e15), ("TFLOP/s", 1e12), ("GFLOP/s", 1e9)])
  }
}

/// The positive decimal number before one of `units`, times the unit. Upper and lower case differ: Gb/s are bits, GB/s would
/// be bytes.
private func quantity(_ text: String, units: [(suffix: String, factor: Double)]) throws -> Double {
  guard let unit = units.first(where: { text.hasSuffix($0.suffix) }),
    let number = decimal(text.dropLast(unit.suffix.count)),
    number > 0, number <= 1e6
  else {
    let names = units.map(\.suffix).joined(separator: ", ")
    throw ValidationError("expected a number above 0, up to 1000000, and one of the units \(names)")
  }
  return number * unit.factor
}

private func decimal(_ digits: Substring) -> Double? {
  digits.utf8.allSatisfy { (48...57).contains($0) || $0 == UInt8(ascii: ".") } ? Double(digits) : nil
}
