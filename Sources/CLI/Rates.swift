import ArgumentParser

/// A network's bits a second in each direction, with a unit: 100Gb/s, 500Mb/s.
struct BitRate: ExpressibleByArgument {
  let bytesPerSecond: Double

  init?(argument: String) {
    guard let bits = quantity(argument, units: [("Tb/s", 1e12), ("Gb/s", 1e9), ("Mb/s", 1e6)]) else { return nil }
    bytesPerSecond = bits / 8
  }
}

/// A device's floating-point operations a second, with a unit: 989TFLOP/s, 50GFLOP/s.
struct OperationRate: ExpressibleByArgument {
  let perSecond: Double

  init?(argument: String) {
    guard let rate = quantity(argument, units: [("PFLOP/s", 1e15), ("TFLOP/s", 1e12), ("GFLOP/s", 1e9)]) else {
      return nil
    }
    perSecond = rate
  }
}

/// The positive decimal number before one of `units`, times the unit. Upper and lower case differ: Gb/s are bits, GB/s would
/// be bytes.
private func quantity(_ text: String, units: [(suffix: String, factor: Double)]) -> Double? {
  guard let unit = units.first(where: { text.hasSuffix($0.suffix) }) else { return nil }
  let digits = text.dropLast(unit.suffix.count)
  guard digits.utf8.allSatisfy({ (48...57).contains($0) || $0 == UInt8(ascii: ".") }), let number = Double(digits),
    number > 0, number <= 1e6
  else { return nil }
  return number * unit.factor
}
