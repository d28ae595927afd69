import CheckedInput
import Foundation

/// Writes `metrics.jsonl`: a JSON object a line, "step" first, then what was measured in the order given.
///
///     {"step":100,"loss":4.1796875,"learning_rate":0.003}
///
/// Every line is with the operating system when `write` returns. Steps must not go down.
public final class MetricsWriter {
  private let file: DataFileWriter
  /// Lines about later steps that an earlier process wrote and that were dropped.
  public let droppedLines: Int
  /// The last step that an earlier process wrote about and that was kept; 0 for none.
  public let lastStep: Int

  /// Opens the file at `path`, or makes it, to write what comes after step `resumed`.
  ///
  /// What an earlier process wrote about later steps is dropped, and so is a last line that it did not finish.
  ///
  /// - Throws: `InputError` for a line that is no such object, `CheckpointError` if the file cannot be written.
  public init(_ path: String, after resumed: Int) throws {
    file = try DataFileWriter(path)
    var kept = 0
    var dropped = 0
    var last = 0
    try MetricsFile.forEachLine(path) { line, end in
      if line.step <= resumed, dropped == 0 { (kept, last) = (end, line.step) } else { dropped += 1 }
    }
    droppedLines = dropped
    lastStep = last
    if kept < file.size { try file.truncate(to: kept) }
  }

  /// Writes one line.
  public func write(step: Int, _ values: [(name: String, value: MetricsValue)]) throws {
    let members = values.map { "\(MetricsValue.quoted($0.name)):\($0.value.json)" }
    try file.append("{\((["\"step\":\(step)"] + members).joined(separator: ","))}\n")
  }
}

/// What a run wrote to its `metrics.jsonl`.
public enum MetricsFile {
  /// One line.
  public struct Line: Sendable, Hashable {
    /// The step it is about.
    public let step: Int
    /// What was measured, by name.
    public let values: [String: MetricsValue]
  }

  /// Reads all complete lines; none if there is no file at `path`.
  ///
  /// - Throws: `InputError` for a line that is not a JSON object with the number of a step, and a file that cannot be
  ///   read.
  public static func read(_ path: String) throws -> [Line] {
    var lines: [Line] = []
    try forEachLine(path) { line, _ in lines.append(line) }
    return lines
  }

  /// Visits each complete line with the offset of its end.
  static func forEachLine(_ path: String, _ body: (Line, _ end: Int) throws -> Void) throws {
    guard isThere(path) else { return }
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
    var values: [String: MetricsValue] = [:]
    for (key, value) in members where key != "step" { values[key] = MetricsValue(value) }
    return Line(step: step, values: values)
  }
}
