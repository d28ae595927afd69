import ArgumentParser
import WidebandCheckedInput

/// Fails with "--name is value: expected from … to …" for a value out of range; nil is a flag that is not given.
func requireFlag(_ name: String, _ value: Int?, in range: ClosedRange<Int>) throws {
  guard let value, !range.contains(value) else { return }
  throw ValidationError("\(name) is \(value): expected \(describe(range))")
}
