import Foundation

/// The processes of this machine, of /proc.
enum ProcessTable {
  /// The processes whose parent is `identifier`.
  static func children(of identifier: Int32) -> [Int32] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { Int32($0) }.filter { status($0)?.parent == identifier }
  }

  /// Whether a process has not ended; one whose status nobody has collected has.
  static func isRunning(_ identifier: Int32) -> Bool { status(identifier).map { $0.state != "Z" } ?? false }

  /// The state and the parent in "PID (NAME) STATE PARENT …".
  private static func status(_ identifier: Int32) -> (state: Substring, parent: Int32)? {
    guard let text = try? String(contentsOfFile: "/proc/\(identifier)/stat", encoding: .utf8),
      let fields = text.split(separator: ")").last?.split(separator: " "), fields.count > 1
    else { return nil }
    return Int32(fields[1]).map { (fields[0], $0) }
  }
}
