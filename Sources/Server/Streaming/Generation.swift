import WidebandServing

/// The sequences of one HTTP request, in the engine.
///
/// The first one is in the engine's queue from the beginning, so that a full queue is known before a response begins.
/// As many more follow as the engine decodes at a time. Cancelling the task of `run` cancels all of them.
struct Generation: Sendable {
  private let engine: ServingEngine
  private let requests: [SequenceRequest]
  private let first: AsyncThrowingStream<SequenceEvent, any Error>

  /// What happens while the sequences are computed.
  enum Update: Sendable {
    /// An event of the sequence with this index.
    case event(Int, SequenceEvent)
    /// Nothing happened for a while.
    case silence
  }

  /// - Parameter requests: at least one.
  /// - Throws: ``ServingError`` for a request that is invalid or does not fit, and where the queue is full.
  init(_ requests: [SequenceRequest], on engine: ServingEngine) throws {
    for request in requests { try engine.validate(request) }
    (self.engine, self.requests) = (engine, requests)
    first = try engine.submit(requests[0])
  }

  /// Calls `body` with every update, in this task.
  ///
  /// - Parameter silence: how long nothing happens before an update says so; nil for no such updates.
  /// - Throws: `CancellationError`; the first error of a sequence; what `body` throws.
  func run(silence: Duration? = nil, _ body: (Update) async throws -> Void) async throws {
    let (updates, continuation) = AsyncThrowingStream.makeStream(of: Update.self)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        do {
          try await produce { continuation.yield(.event($0, $1)) }
          continuation.finish()
        } catch { continuation.finish(throwing: error) }
      }
      if let silence {
        group.addTask {
          while (try? await Task.sleep(for: silence)) != nil { continuation.yield(.silence) }
        }
      }
      var last = ContinuousClock.now
      for try await update in updates {
        if case .silence = update, let silence, ContinuousClock.now - last < silence { continue }
        last = .now
        try await body(update)
      }
      group.cancelAll()
    }
    try Task.checkCancellation()
  }

  private func produce(_ yield: @escaping @Sendable (Int, SequenceEvent) -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in requests.indices {
        if index >= engine.options.parallel { _ = try await group.next() }
        group.addTask {
          for try await event in try await stream(index) { yield(index, event) }
        }
      }
      try await group.waitForAll()
    }
  }

  /// The events of a sequence. All but the first wait until the queue has a place.
  private func stream(_ index: Int) async throws -> AsyncThrowingStream<SequenceEvent, any Error> {
    if index == 0 { return first }
    while true {
      do { return try engine.submit(requests[index]) } catch ServingError.queueFull {
        try await Task.sleep(for: .milliseconds(20))
      }
    }
  }
}
