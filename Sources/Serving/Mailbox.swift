import Foundation

/// A request on its way through the engine.
///
/// `isCancelled` is guarded by the mailbox's lock; everything else belongs to the engine's thread once it is posted.
final class Job: @unchecked Sendable {
  let request: SequenceRequest
  let continuation: AsyncThrowingStream<SequenceEvent, any Error>.Continuation
  let arrival = ContinuousClock.now
  var isCancelled = false

  init(_ request: SequenceRequest, _ continuation: AsyncThrowingStream<SequenceEvent, any Error>.Continuation) {
    (self.request, self.continuation) = (request, continuation)
  }
}

/// What the engine's thread shares with others. The condition guards everything.
final class Mailbox: @unchecked Sendable {
  private let condition = NSCondition()
  private let queue: Int
  private var waiting: [Job] = []
  private var state = State.running
  private var current = ServingStatistics()

  private enum State { case running, stopping, aborted, ended }

  init(queue: Int) { self.queue = queue }

  // MARK: - Any thread

  /// - Throws: ``ServingError`` if the queue is full or the engine is stopping.
  func post(_ job: Job) throws {
    try condition.withLock {
      guard state == .running else { throw ServingError.stopping }
      waiting.removeAll(where: \.isCancelled)
      guard waiting.count < queue else { throw ServingError.queueFull(waiting.count) }
      waiting.append(job)
      condition.signal()
    }
  }

  /// Changes something under the lock, and wakes the engine.
  func wake(_ change: () -> Void) {
    condition.withLock {
      change()
      condition.signal()
    }
  }

  func stop() { wake { if state == .running { state = .stopping } } }
  func abort() { wake { if state != .ended { state = .aborted } } }

  var statistics: ServingStatistics { condition.withLock { current } }
  var isAlive: Bool { condition.withLock { state != .ended } }

  // MARK: - The engine's thread

  /// The jobs of the queue that are next, at most `count`, and those among `jobs` that are still wanted.
  ///
  /// Waits for a job where the engine has nothing to do. Nil at the end.
  func take(_ count: Int, while isIdle: Bool) -> [Job]? {
    condition.withLock {
      while true {
        let cancelled = waiting.count(where: \.isCancelled)
        current.cancelled += cancelled
        if cancelled > 0 { waiting.removeAll(where: \.isCancelled) }
        guard state != .aborted else { return nil }
        let taken = Array(waiting.prefix(count))
        if !taken.isEmpty || !isIdle {
          waiting.removeFirst(taken.count)
          return taken
        }
        guard state == .running else { return nil }
        condition.wait()
      }
    }
  }

  func isCancelled(_ job: Job) -> Bool { condition.withLock { job.isCancelled || state == .aborted } }

  /// Publishes the counters.
  func update(_ change: (inout ServingStatistics) -> Void) {
    condition.withLock {
      change(&current)
      current.waiting = waiting.count
    }
  }

  /// Ends the engine: jobs that still wait fail.
  func end() {
    let left = condition.withLock {
      state = .ended
      defer { waiting = [] }
      return waiting
    }
    for job in left { job.continuation.finish(throwing: ServingError.stopping) }
  }
}
