import Foundation

extension ProcessGroup {
  /// Runs `body` on `size` threads of this process, each with its rank of a common group.
  ///
  /// - Parameter timeout: how long a collective operation may take.
  /// - Throws: the error of the lowest rank with one that is not the loss of other ranks, or else of the lowest rank.
  public static func threads(
    _ size: Int, timeout: Duration = .seconds(100), _ body: @escaping @Sendable (ProcessGroup) throws -> Void
  ) throws {
    guard size > 0 else { throw DistributedError.wrongUse("\(size) ranks: expected at least one") }
    let store: Store
    do { store = try Store() } catch { throw DistributedError.notStarted(error.reason) }
    let errors = Errors(count: size)
    let running = DispatchGroup()
    for rank in 0..<size {
      running.enter()
      Thread {
        defer { running.leave() }
        do { try body(ProcessGroup(thread: rank, of: size, store: store, timeout: timeout)) } catch {
          errors.set(error, of: rank)
        }
      }.start()
    }
    running.wait()
    if let error = errors.cause { throw error }
  }

  /// The errors of the threads.
  private final class Errors: @unchecked Sendable {
    private let lock = NSLock()
    private var errors: [(any Error)?]

    init(count: Int) { errors = Array(repeating: nil, count: count) }

    func set(_ error: any Error, of rank: Int) { lock.withLock { errors[rank] = error } }

    /// The error that others follow from.
    var cause: (any Error)? {
      let found = lock.withLock { errors.compactMap { $0 } }
      let own = found.first { error in
        switch error as? DistributedError {
        case .ranksLost, .rankEnded: false
        default: true
        }
      }
      return own ?? found.first
    }
  }
}
