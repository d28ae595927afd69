import Foundation

/// What the engine's thread shares with others: the requests that wait, and the counters.
///
/// Unchecked: the condition's lock guards everything.
final class RequestQueue: @unchecked Sendable {
  private let condition = NSCondition()
  private let limit: Int
  private let parallel: Int
  /// The requests with sequences that wait, in the order of their turns.
  private var requests: [QueuedRequest] = []
  /// Sequences that the engine has begun with, and that have not left it.
  private var active = 0
  private var state = State.running
  private var current = ServingStatistics()

  private enum State { case running, stopping, aborted, ended }

  /// - Parameters:
  ///   - limit: requests that may wait for a place.
  ///   - parallel: sequences in the engine at the same time, and sequences of a request whose events may be held for it.
  init(limit: Int, parallel: Int) { (self.limit, self.parallel) = (limit, parallel) }

  // MARK: - Any thread

  /// - Throws: ``ServingError`` if the queue is full or the engine is stopping.
  func post(_ request: QueuedRequest) throws {
    try condition.withLock {
      guard state == .running else { throw ServingError.stopping }
      removeCancelled()
      // A request that has begun is no longer waiting for a place, though its client may be slow to read. One for which
      // there is a place is not either, though the engine has not taken it yet.
      let waiting = requests.count { !$0.hasBegun }
      guard waiting < limit + parallel - active else { throw ServingError.queueFull(waiting) }
      requests.append(request)
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
  func didRead(_ request: QueuedRequest) { wake { request.unread -= 1 } }
  func stop() { wake { if state == .running { state = .stopping } } }
  func abort() { wake { if state != .ended { state = .aborted } } }

  /// The counters that the engine has published, and the sequences that wait now.
  var statistics: ServingStatistics {
    condition.withLock {
      removeCancelled()
      current.waiting = requests.reduce(0) { $0 + $1.waiting.count }
      return current
    }
  }

  var isAlive: Bool { condition.withLock { state != .ended } }

  // MARK: - The engine's thread

  /// The sequences that are next, for all free places: requests take turns, a sequence each.
  ///
  /// Waits for one where the engine has none. Nil at the end.
  func take() -> [QueuedSequence]? {
    condition.withLock {
      while true {
        removeCancelled()
        guard state != .aborted else { return nil }
        let taken = takeTurns()
        active += taken.count
        if active > 0 { return taken }
        guard state == .running || !requests.isEmpty else { return nil }
        condition.wait()
      }
    }
  }

  private func takeTurns() -> [QueuedSequence] {
    var taken: [QueuedSequence] = []
    var index = 0
    while active + taken.count < parallel, index < requests.count {
      guard requests[index].unread < parallel else {
        index += 1
        continue
      }
      let request = requests.remove(at: index)
      taken.append(request.waiting.removeFirst())
      request.hasBegun = true
      request.unread += 1
      if !request.waiting.isEmpty { requests.append(request) }
    }
    return taken
  }

  private func removeCancelled() {
    for request in requests {
      let count = request.waiting.count
      request.waiting.removeAll(where: \.isCancelled)
      current.cancelled += count - request.waiting.count
    }
    requests.removeAll(where: \.waiting.isEmpty)
  }

  func isCancelled(_ sequence: QueuedSequence) -> Bool {
    condition.withLock { sequence.isCancelled || state == .aborted }
  }

  /// Publishes the counters.
  func update(_ change: (inout ServingStatistics) -> Void) { condition.withLock { change(&current) } }

  /// Publishes the counters as a sequence leaves the engine: its place is free before its client knows.
  func leave(_ change: (inout ServingStatistics) -> Void) {
    condition.withLock {
      active -= 1
      change(&current)
    }
  }

  /// Ends the engine: sequences that still wait fail.
  func end() {
    let left = condition.withLock {
      state = .ended
      defer { requests = [] }
      return requests.flatMap(\.waiting)
    }
    for sequence in left { sequence.continuation.finish(throwing: ServingError.stopping) }
  }
}
