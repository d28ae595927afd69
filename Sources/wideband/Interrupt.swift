import Dispatch
import Foundation

/// Notices Ctrl-C and a polite kill, so that a run can save before it leaves; the second one does not wait.
final class Interrupt: @unchecked Sendable {
  private let lock = NSLock()
  private var isRequested = false
  private var sources: [any DispatchSourceSignal] = []

  init() {
    for number in [SIGINT, SIGTERM] {
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { [weak self] in self?.request() }
      source.resume()
      sources.append(source)
    }
  }

  deinit {
    sources.forEach { $0.cancel() }
    for number in [SIGINT, SIGTERM] { signal(number, SIG_DFL) }
  }

  /// Whether somebody asked to stop.
  var wasRequested: Bool { lock.withLock { isRequested } }

  private func request() {
    let isSecond = lock.withLock {
      defer { isRequested = true }
      return isRequested
    }
    if isSecond { _exit(130) }
    StandardError.line("\nstopping after this step; once more to leave now")
  }
}
