import Dispatch
import Foundation

/// Calls a handler for SIGINT, SIGTERM and SIGHUP, which do not end the process from then on.
///
/// SIGHUP stays ignored where `nohup` ignores it.
final class TerminationSignals {
  private var sources: [any DispatchSourceSignal] = []

  /// - Parameters:
  ///   - queue: where the handler is called.
  ///   - handler: gets the signal's number; retained as long as this object.
  init(on queue: DispatchQueue, _ handler: @escaping @Sendable (Int32) -> Void) {
    for number in [SIGINT, SIGTERM, SIGHUP] {
      let previous = signal(number, SIG_IGN)
      if number == SIGHUP, unsafeBitCast(previous, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) { continue }
      let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
      source.setEventHandler { handler(number) }
      source.resume()
      sources.append(source)
    }
  }
}
