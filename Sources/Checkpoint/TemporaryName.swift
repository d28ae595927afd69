import Foundation

/// The name of a temporary file or folder, or of an old folder that was moved aside.
///
/// `.wideband-PROCESS-SESSION-UNIQUE`, followed by `-NAME` for a folder NAME that was moved aside. The session tells
/// this process from an earlier one with the same number.
struct TemporaryName {
  /// The file name.
  let text: String
  /// The folder's original name, if it was moved aside.
  let replaced: String?

  private let process: Int32
  private let session: String

  private static let prefix = ".wideband"
  private static let ownSession = String(UInt64.random(in: 0...UInt64.max), radix: 36)

  /// A unique name.
  init(replacing replaced: String? = nil) {
    self.replaced = replaced
    process = getpid()
    session = Self.ownSession
    let unique = String(UInt64.random(in: 0...UInt64.max), radix: 36)
    let suffix = replaced.map { "-\($0)" } ?? ""
    text = "\(Self.prefix)-\(process)-\(session)-\(unique)\(suffix)"
  }

  /// Parses a name that any process has generated; nil for all others.
  init?(_ text: String) {
    let parts = text.split(separator: "-", maxSplits: 4, omittingEmptySubsequences: false)
    guard parts.count >= 4, parts[0] == Self.prefix, let process = Int32(parts[1]), process > 0 else { return nil }
    self.text = text
    self.process = process
    session = String(parts[2])
    replaced = parts.count == 5 ? String(parts[4]) : nil
  }

  /// Whether the file or folder at `url` was left by a process that has ended.
  ///
  /// The process number alone does not tell: in another container the process may still be writing. It holds the lock
  /// then.
  func isLeftOver(at url: URL) -> Bool {
    let isGone = process == getpid() ? session != Self.ownSession : kill(process, 0) != 0 && errno == ESRCH
    guard isGone, let leftOver = try? FileDescriptor(reading: url.path) else { return false }
    return leftOver.lock()
  }
}
