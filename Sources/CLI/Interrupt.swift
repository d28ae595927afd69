import Dispatch
import Foundation

/// Handles SIGINT, SIGTERM and SIGHUP, so that a run can save a checkpoint before it ends; a second signal ends the
/// process immediately.
///
/// The handlers stay installed until the process ends.
final class Interrupt: @unchecked Sendable {
  private let lock = NSLock()
  private var isRequested = false
  private var sources: [any DispatchSourceSignal] = []
  private let isQuiet: Bool

  /// - Parameter isQuiet: whether the terminal is another process's.
  init(isQuiet: Bool = false) {
    self.isQuiet = isQuiet
    for number in [SIGINT, SIGTERM, SIGHUP] {
      let previous = signal(number, SIG_IGN)
      // `nohup` ignores SIGHUP, and so does the run then.
      if number == SIGHUP, Self.isIgnored(previous) { continue }
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      // The handler retains this object for the lifetime of the process.
      source.setEventHandler { self.request() }
      source.resume()
      sources.append(source)
    }
  }

  /// Whether a signal was received.
  var wasRequested: Bool { lock.withLock { isRequested } }

  private func request() {
    let isSecond = lock.withLock {
      defer { isRequested = true }
      return isRequested
    }
    // Not `exit`: it would run libtorch's destructors while another thread computes and writes.
    if isSecond { _exit(130) }
    if !isQuiet { StandardError.line("\nstopping after this step; once more to leave now") }
  }

  private static func isIgnored(_ handler: (@convention(c) (Int32) -> Void)?) -> Bool {
    unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }
}
