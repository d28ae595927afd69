import Foundation

/// The name of something that is not yet, or no longer, what a reader should see.
///
/// `.wideband-PROCESS-SESSION-UNIQUE`, followed by `-NAME` for a folder that was called NAME until it had to make room.
/// The session tells this process from an earlier one that had the same number.
struct TemporaryName {
  /// The file name.
  let text: String
  /// What the folder was called, if it was moved aside.
  let replaced: String?

  private let process: Int32
  private let session: String

  private static let prefix = ".wideband"
  private static let ownSession = String(UInt64.random(in: 0...UInt64.max), radix: 36)

  /// A name that nothing else has.
  init(replacing replaced: String? = nil) {
    self.replaced = replaced
    process = getpid()
    session = Self.ownSession
    let unique = String(UInt64.random(in: 0...UInt64.max), radix: 36)
    let suffix = replaced.map { "-\($0)" } ?? ""
    text = "\(Self.prefix)-\(process)-\(session)-\(unique)\(suffix)"
  }

  /// Recognises a name that was made by any process; nil for all others.
  init?(_ text: String) {
    let parts = text.split(separator: "-", maxSplits: 4, omittingEmptySubsequences: false)
    guard parts.count >= 4, parts[0] == Self.prefix, let process = Int32(parts[1]), process > 0 else { return nil }
    self.text = text
    self.process = process
    session = String(parts[2])
    replaced = parts.count == 5 ? String(parts[4]) : nil
  }

  /// Whether what is at `url` under this name was left by a process that is gone.
  ///
  /// The number alone does not say so: in another container the process that has it may still be writing. Such a one
  /// holds the lock.
  func isLeftOver(at url: URL) -> Bool {
    let isGone = process == getpid() ? session != Self.ownSession : kill(process, 0) != 0 && errno == ESRCH
    guard isGone, let leftOver = try? FileDescriptor(reading: url.path) else { return false }
    return leftOver.lock()
  }
}
