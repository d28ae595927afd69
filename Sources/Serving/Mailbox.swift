import Foundation

/// A sequence on its way through the engine.
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

/// The sequences of one request. The mailbox's lock guards it.
final class JobGroup: @unchecked Sendable {
  /// Those that the engine has not begun with.
  fileprivate var waiting: ArraySlice<Job>
  /// Those that it has begun with, and whose events have not been read to their end.
  fileprivate var unread = 0

  init(_ jobs: [Job]) { waiting = jobs[...] }
}

/// What the engine's thread shares with others. The condition guards everything.
final class Mailbox: @unchecked Sendable {
  private let condition = NSCondition()
  private let queue: Int
  private let unreadLimit: Int
  /// The requests with sequences that wait, in the order of their turns.
  private var groups: [JobGroup] = []
  private var state = State.running
  private var current = ServingStatistics()

  private enum State { case running, stopping, aborted, ended }

  /// - Parameters:
  ///   - queue: requests that may wait.
  ///   - unreadLimit: sequences of a request whose events may be held for it.
  init(queue: Int, unreadLimit: Int) { (self.queue, self.unreadLimit) = (queue, unreadLimit) }

  // MARK: - Any thread

  /// - Throws: ``ServingError`` if the queue is full or the engine is stopping.
  func post(_ group: JobGroup) throws {
    try condition.withLock {
      guard state == .running else { throw ServingError.stopping }
      removeCancelled()
      guard groups.count < queue else { throw ServingError.queueFull(groups.count) }
      groups.append(group)
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

  /// Notes that the events of a sequence have been read to their end.
  func didRead(_ group: JobGroup) { wake { group.unread -= 1 } }
  func stop() { wake { if state == .running { state = .stopping } } }
  func abort() { wake { if state != .ended { state = .aborted } } }

  var statistics: ServingStatistics { condition.withLock { current } }
  var isAlive: Bool { condition.withLock { state != .ended } }

  // MARK: - The engine's thread

  /// The jobs that are next, at most `count`: requests take turns, a sequence each.
  ///
  /// Waits for a job where the engine has nothing to do. Nil at the end.
  func take(_ count: Int, while isIdle: Bool) -> [Job]? {
    condition.withLock {
      while true {
        removeCancelled()
        guard state != .aborted else { return nil }
        let taken = takeTurns(count)
        if !taken.isEmpty || !isIdle { return taken }
        guard state == .running || !groups.isEmpty else { return nil }
        condition.wait()
      }
    }
  }

  private func takeTurns(_ count: Int) -> [Job] {
    var taken: [Job] = []
    var index = 0
    while taken.count < count, index < groups.count {
      guard groups[index].unread < unreadLimit else {
        index += 1
        continue
      }
      let group = groups.remove(at: index)
      taken.append(group.waiting.removeFirst())
      group.unread += 1
      if !group.waiting.isEmpty { groups.append(group) }
    }
    return taken
  }

  private func removeCancelled() {
    for group in groups {
      let count = group.waiting.count
      group.waiting.removeAll(where: \.isCancelled)
      current.cancelled += count - group.waiting.count
    }
    groups.removeAll(where: \.waiting.isEmpty)
  }

  func isCancelled(_ job: Job) -> Bool { condition.withLock { job.isCancelled || state == .aborted } }

  /// Publishes the counters.
  func update(_ change: (inout ServingStatistics) -> Void) {
    condition.withLock {
      change(&current)
      current.waiting = groups.reduce(0) { $0 + $1.waiting.count }
    }
  }

  /// Ends the engine: jobs that still wait fail.
  func end() {
    let left = condition.withLock {
      state = .ended
      defer { groups = [] }
      return groups.flatMap(\.waiting)
    }
    for job in left { job.continuation.finish(throwing: ServingError.stopping) }
  }
}
