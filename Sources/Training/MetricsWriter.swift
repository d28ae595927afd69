import Foundation

/// Writes `metrics.jsonl`: a JSON object a line, "step" first, then what was measured in the order given.
///
///     {"step":100,"loss":4.1796875,"learning_rate":0.003}
///
/// Every line is with the operating system when `write` returns. Steps must not go down.
public final class MetricsWriter {
  private let file: DataFileWriter

  /// Opens the file at `path`, or makes it, to write what comes after step `resumed`.
  ///
  /// What an earlier process wrote about later steps is dropped, and so is a last line that it did not finish.
  ///
  /// - Throws: `RunDirectoryError` for a line that is no such object, `CheckpointError` if the file cannot be written.
  public init(_ path: String, after resumed: Int) throws {
    file = try DataFileWriter(path)
    var kept = 0
    try MetricsFile.forEachLine(path) { line, end in
      guard line.step <= resumed else { return false }
      kept = end
      return true
    }
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
  /// - Throws: `RunDirectoryError` for a line that is not a JSON object with a whole number "step".
  public static func read(_ path: String) throws -> [Line] {
    var lines: [Line] = []
    try forEachLine(path) { line, _ in
      lines.append(line)
      return true
    }
    return lines
  }

  /// Visits each complete line with the offset of its end until `body` returns false.
  static func forEachLine(_ path: String, _ body: (Line, _ end: Int) throws -> Bool) throws {
    guard let content = try? Data(contentsOf: URL(filePath: path), options: .alwaysMapped) else { return }
    let decoder = JSONDecoder()
    var start = content.startIndex
    var number = 0
    while let end = content[start...].firstIndex(of: 0x0A) {
      number += 1
      guard var values = try? decoder.decode([String: MetricsValue].self, from: content[start..<end]),
        case .number(let number)? = values.removeValue(forKey: "step"), let step = Int(exactly: number)
      else { throw RunDirectoryError(path, "line \(number) is not a JSON object with a whole number \"step\"") }
      guard try body(Line(step: step, values: values), end + 1) else { return }
      start = end + 1
    }
  }
}
