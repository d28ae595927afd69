import AsyncAlgorithms
import WidebandServing

/// The sequences of one HTTP request, in the engine. Cancelling the task of `run` cancels all of them.
struct Generation: Sendable {
  private let sequences: SubmittedSequences

  /// What happens while the sequences are computed.
  enum Update: Sendable {
    /// An event of the sequence with this index.
    case event(Int, SequenceEvent)
    /// Some time has passed.
    case tick
  }

  /// - Parameter requests: at least one.
  /// - Throws: ``ServingError`` for a request that is invalid or does not fit, and where the queue is full.
  init(_ requests: [SequenceRequest], on engine: ServingEngine) throws { sequences = try engine.submit(requests) }

  /// Calls `body` with every update, in this task. Updates wait until `body` has returned from those before.
  ///
  /// - Parameter tick: the time between two ticks; nil for none.
  /// - Throws: `CancellationError`; the first error of a sequence; what `body` throws.
  func run(tick: Duration? = nil, _ body: (Update) async throws -> Void) async throws {
    let updates = AsyncThrowingChannel<Update, any Error>()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        do {
          try await sendEvents(to: updates)
          updates.finish()
        } catch { updates.fail(error) }
      }
      if let tick {
        group.addTask {
          while (try? await Task.sleep(for: tick)) != nil { await updates.send(.tick) }
        }
      }
      for try await update in updates { try await body(update) }
      group.cancelAll()
    }
    try Task.checkCancellation()
  }

  private func sendEvents(to updates: AsyncThrowingChannel<Update, any Error>) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (index, events) in sequences.events.enumerated() {
        group.addTask {
          defer { sequences.didRead() }
          for try await event in events { await updates.send(.event(index, event)) }
        }
      }
      try await group.waitForAll()
    }
  }
}
