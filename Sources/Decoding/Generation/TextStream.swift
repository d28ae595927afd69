import Foundation
import WidebandCheckedInput
import WidebandTorch

/// An event of a stream of generated text.
public enum GenerationEvent: Sendable {
  /// The next piece of text.
  case text(String)
  /// The last event.
  case finished(GenerationResult)
}

extension LoadedModel {
  /// Continues tokens as a sequence of events, which ends after `finished`.
  ///
  ///     for try await case .text(let piece) in model.stream(try model.promptTokens("In the beginning")) {
  ///       print(piece, terminator: "")
  ///     }
  ///
  /// All streams of a process are computed on one thread, one after the other, in the order of these calls, with the
  /// kernels that are selected where this is called. Leaving the loop or cancelling its task ends the computation after
  /// the current pass. The sequence throws what `generate` throws.
  public func stream(
    _ prompt: [TokenID], options: GenerationOptions = .init()
  ) -> AsyncThrowingStream<GenerationEvent, any Error> {
    ComputeThread.shared.stream { check, onText in
      try generate(prompt, options: options, check: check, onText: onText)
    }
  }
}

/// The thread on which streams are computed. The condition guards its jobs.
///
/// libtorch's operators keep a pool of threads for every thread that calls them, so a computation that moved between
/// the threads of Swift's executor would create a pool on each of them.
final class ComputeThread: @unchecked Sendable {
  static let shared = ComputeThread()

  private let condition = NSCondition()
  private var jobs: [@Sendable () -> Void] = []

  private init() {
    let thread = Thread { [self] in
      while true { next()() }
    }
    thread.name = "wideband.compute"
    thread.start()
  }

  /// Runs a job after all earlier ones, with the kernels that are selected here.
  func run(_ job: @escaping @Sendable () -> Void) {
    // Task-local values do not reach another thread.
    let kernels = Kernels.selected
    condition.withLock {
      jobs.append { Kernels.$selected.withValue(kernels) { job() } }
      condition.signal()
    }
  }

  /// Runs a generation after all earlier jobs, and returns its text and result as events.
  ///
  /// - Parameter generate: calls `check` before every pass and `onText` with every piece of text.
  func stream(
    _ generate:
      @escaping @Sendable (_ check: () throws -> Void, _ onText: (String) throws -> Void) throws ->
      GenerationResult
  ) -> AsyncThrowingStream<GenerationEvent, any Error> {
    let (events, continuation) = AsyncThrowingStream.makeStream(of: GenerationEvent.self)
    let cancellation = Cancellation()
    continuation.onTermination = { _ in cancellation.cancel() }
    run {
      do {
        let result = try generate(cancellation.check) { continuation.yield(.text($0)) }
        continuation.yield(.finished(result))
        continuation.finish()
      } catch { continuation.finish(throwing: error) }
    }
    return events
  }

  private func next() -> @Sendable () -> Void {
    condition.withLock {
      while jobs.isEmpty { condition.wait() }
      return jobs.removeFirst()
    }
  }
}

/// Whether a stream's reader has left. The lock guards the flag.
private final class Cancellation: @unchecked Sendable {
  private let lock = NSLock()
  private var isCancelled = false

  func cancel() { lock.withLock { isCancelled = true } }

  func check() throws {
    if lock.withLock({ isCancelled }) { throw CancellationError() }
  }
}
