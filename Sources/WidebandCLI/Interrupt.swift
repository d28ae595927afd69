import Dispatch
import Foundation

/// Notices Ctrl-C, a polite kill and the end of a terminal, so that a run can save before it leaves; the second signal
/// does not wait.
///
/// From the first one on the process only leaves: what a signal does then stays so until it is gone.
final class Interrupt: @unchecked Sendable {
  private let lock = NSLock()
  private var isRequested = false
  private var sources: [any DispatchSourceSignal] = []

  init() {
    for number in [SIGINT, SIGTERM, SIGHUP] {
      let previous = signal(number, SIG_IGN)
      // `nohup` says that the end of the terminal is not to end the run.
      if number == SIGHUP, Self.isIgnored(previous) { continue }
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      // The source keeps this object as long as the process lasts.
      source.setEventHandler { self.request() }
      source.resume()
      sources.append(source)
    }
  }

  /// Whether somebody asked to stop.
  var wasRequested: Bool { lock.withLock { isRequested } }

  private func request() {
    let isSecond = lock.withLock {
      defer { isRequested = true }
      return isRequested
    }
    // Not `exit`: it would take libtorch apart while another thread computes and writes.
    if isSecond { _exit(130) }
    StandardError.line("\nstopping after this step; once more to leave now")
  }

  private static func isIgnored(_ handler: (@convention(c) (Int32) -> Void)?) -> Bool {
    unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }
}
