import Foundation

/// Finds out which ranks were lost.
///
/// libtorch's message of a failure names an address and not a rank, and a rank that computes does not notice a failure at
/// once. So each rank has a thread that looks into the store for a failure: the rank that meets one writes it there, all
/// answer with the operations that they have started, and those without an answer are lost.
final class FailureDetector: @unchecked Sendable {
  /// How often the thread looks.
  private static let interval: TimeInterval = 0.5
  /// How long an answer may take.
  private static let answerTime: TimeInterval = 2

  private let rank: Int
  private let size: Int
  private let store: Store
  private let timeout: Duration
  private let isServer: Bool

  /// Guards what follows.
  private let condition = NSCondition()
  private var operations = Operations()
  private var ownFailure: Failure?
  private var isStopped = false
  private var isFinished = false
  private var findings: Findings?

  /// Starts the thread.
  ///
  /// - Parameters:
  ///   - store: a connection of its own.
  ///   - isServer: whether the store ends with this process, which then waits until the others have read the answers.
  init(rank: Int, size: Int, store: Store, timeout: Duration, isServer: Bool) {
    self.rank = rank
    self.size = size
    self.store = store
    self.timeout = timeout
    self.isServer = isServer
    Thread { [self] in
      watch()
      condition.withLock {
        isFinished = true
        condition.broadcast()
      }
    }.start()
  }

  /// Notes an operation that this rank starts. Returns its tag.
  func operationStarts(_ name: String) -> UInt32 { condition.withLock { operations.start(name) } }

  /// Ends the thread. Does not wait for a store that does not answer.
  func stop() {
    condition.lock()
    defer { condition.unlock() }
    isStopped = true
    condition.broadcast()
    let deadline = Date(timeIntervalSinceNow: 1)
    while !isFinished, condition.wait(until: deadline) {}
  }

  /// The error of an operation that failed with a message of libtorch. Takes some seconds.
  func lostRanks(after message: String, hosts: [String]) -> DistributedError {
    report(Failure(message: message, timeout: timeout)).error(hosts: hosts, timeout: timeout)
  }

  /// What is known of the first failure, which may be the given one. The other ranks know it then.
  func report(_ failure: Failure) -> Findings {
    condition.lock()
    defer { condition.unlock() }
    ownFailure = failure
    condition.broadcast()
    // Twice the time of the answers, and as much again for a store that is slow.
    let deadline = Date(timeIntervalSinceNow: 3 * Self.answerTime)
    while !isFinished, condition.wait(until: deadline) {}
    return findings ?? Findings(failure: failure, operations: nil)
  }

  /// Waits for a failure and notes which ranks answer.
  private func watch() {
    do {
      while true {
        condition.lock()
        if !isStopped, ownFailure == nil { _ = condition.wait(until: Date(timeIntervalSinceNow: Self.interval)) }
        let (isStopped, ownFailure) = (isStopped, ownFailure)
        condition.unlock()
        if isStopped { return }
        let isReported = try store.has("failure")
        if !isReported, let ownFailure { try store.set("failure", ownFailure.text) }
        if isReported || ownFailure != nil { return try answer() }
      }
    } catch {
      // The store is gone, which is no failure at the end of a run.
    }
  }

  private func answer() throws(StoreError) {
    try store.set("answer/\(rank)", condition.withLock { operations.text })
    let patience = Duration.seconds(Self.answerTime)
    let failure = Failure(text: try store.get("failure", within: patience))
    try wait(for: Array(0..<size), toWrite: "answer")
    var answers = [Operations?](repeating: nil, count: size)
    for other in 0..<size where try store.has("answer/\(other)") {
      answers[other] = Operations(text: try store.get("answer/\(other)", within: patience))
    }
    condition.withLock { findings = Findings(failure: failure, operations: answers) }
    try store.set("read/\(rank)", "")
    if isServer { try wait(for: answers.indices.filter { answers[$0] != nil }, toWrite: "read") }
  }

  /// Waits until ranks have written a key, for a bounded time.
  private func wait(for ranks: [Int], toWrite key: String) throws(StoreError) {
    let deadline = Date(timeIntervalSinceNow: Self.answerTime)
    var waiting = ranks
    while Date() < deadline {
      waiting = try store.missing(key, of: waiting)
      if waiting.isEmpty { return }
      Thread.sleep(forTimeInterval: 0.05)
    }
  }
}
