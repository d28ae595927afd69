import Dispatch
import Foundation

/// Handles SIGINT, SIGTERM and SIGHUP, so that a run can save a checkpoint before it ends; a second signal ends the
/// process immediately.
///
/// The handlers stay installed until the process ends.
final class Interrupt: @unchecked Sendable {
  private let lock = NSLock()
  private var isRequested = false
  private var signals: TerminationSignals?
  private let isQuiet: Bool

  /// - Parameter isQuiet: whether the terminal is another process's.
  init(isQuiet: Bool = false) {
    self.isQuiet = isQuiet
    // The handler retains this object for the lifetime of the process.
    signals = TerminationSignals(on: .global()) { _ in self.request() }
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
}
