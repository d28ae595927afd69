import Foundation
import WidebandCheckedInput
import WidebandCheckpoint
import WidebandData

/// Writes `metrics.jsonl`: one JSON object per line, with "step" first and then the metrics in the given order.
///
///     {"step":100,"loss":4.1796875,"learning_rate":0.003}
///
/// `write` returns after a line has been passed to the operating system. Steps must not decrease.
public final class MetricsWriter {
  private let file: FileWriter
  /// The number of lines of later steps by an earlier process that were dropped.
  public let droppedLines: Int
  /// The last step in the remaining lines; 0 without lines.
  public let lastStep: Int

  /// Opens or creates the file at `path` for the steps after `resumed`. Lines of later steps and an incomplete last
  /// line, which an earlier process wrote, are dropped.
  ///
  /// - Throws: `InputError` for a malformed line; `CheckpointError` if the file cannot be written.
  public init(_ path: String, after resumed: Int) throws {
    file = try FileWriter(path)
    var length = 0
    var dropped = 0
    var last = 0
    try MetricsFile.forEachLine(path) { line, end in
      if line.step <= resumed, dropped == 0 { (length, last) = (end, line.step) } else { dropped += 1 }
    }
    droppedLines = dropped
    lastStep = last
    if length < file.size { try file.truncate(to: length) }
  }

  /// Appends one line. Numbers have enough digits to be read back exactly; infinite numbers and NaN, which JSON lacks,
  /// are written as strings.
  ///
  /// - Throws: `CheckpointError` if the file cannot be written.
  public func write(step: Int, _ values: [(name: String, value: Double)]) throws {
    let members = try values.map { name, value in
      "\(try jsonString(name)):\(value.isFinite ? "\(value)" : "\"\(value)\"")"
    }
    try file.append("{\((["\"step\":\(step)"] + members).joined(separator: ","))}\n")
  }
}

/// Reads `metrics.jsonl`.
public enum MetricsFile {
  /// One line of the file.
  public struct Line: Sendable, Hashable {
    /// The step.
    public let step: Int
    /// The metrics by name, without those whose value is no number.
    public let values: [String: Double]
  }

  /// Reads all complete lines; none if there is no file at `path`.
  ///
  /// - Throws: `InputError` for a line that is not a JSON object with a step, and for a file that cannot be read.
  public static func read(_ path: String) throws -> [Line] {
    var lines: [Line] = []
    try forEachLine(path) { line, _ in lines.append(line) }
    return lines
  }

  /// Calls `body` with each complete line and the offset of its end.
  static func forEachLine(_ path: String, _ body: (Line, _ end: Int) throws -> Void) throws {
    guard exists(path) else { return }
    let content = try boundedContents(of: fileURL(path), limit: 8 << 30)
    var start = content.startIndex
    var number = 0
    while let end = content[start...].firstIndex(of: 0x0A) {
      number += 1
      try body(line(content[start..<end], number, of: path), end + 1)
      start = end + 1
    }
  }

  private static func line(_ bytes: Data, _ number: Int, of path: String) throws -> Line {
    let path = printable(path)
    let value = try JSONValue(parsing: bytes, file: path, line: number)
    guard case .object(let members) = value else {
      throw InputError("\(path): line \(number) is \(value.summary): expected an object with an integer step")
    }
    let range = 0...Limits.steps.upperBound
    guard case .number(let count)? = members["step"], let step = count.integer, range.contains(step) else {
      let found = members["step"].map { "step is \($0.summary)" } ?? "step is missing"
      throw InputError("\(path): line \(number): \(found): expected an integer \(describe(range))")
    }
    var values: [String: Double] = [:]
    for (key, value) in members where key != "step" { values[key] = Self.number(value) }
    return Line(step: step, values: values)
  }

  /// A number, which may be too large for a `Double` or one of Python's NaN and Infinity, or a string that stands for
  /// NaN or infinity in upper or lower case; nil for any other value.
  private static func number(_ value: JSONValue) -> Double? {
    switch value {
    case .number(let number): Double(number.text)
    case .string(let text): ["nan": .nan, "-nan": .nan, "inf": .infinity, "-inf": -.infinity][text.lowercased()]
    default: nil
    }
  }
}
