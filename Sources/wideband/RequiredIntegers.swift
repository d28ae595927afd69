import ArgumentParser
import CheckedInput

/// Holds the integers of a command's flags to their bounds.
///
/// - Throws: `ValidationError` naming the first flag that is out of bounds.
func requireIntegers(_ flags: (name: String, value: Int, range: ClosedRange<Int>)...) throws {
  for (name, value, range) in flags where !range.contains(value) {
    throw ValidationError("\(name) is \(value): expected an integer \(describe(range))")
  }
}
