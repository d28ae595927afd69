import Foundation

/// A number of threads and the reason for it.
public struct ThreadChoice: Equatable, Sendable, CustomStringConvertible {
  /// The reason for a number of threads.
  public enum Reason: Equatable, Sendable {
    /// One per processor on which the process may run.
    case processors
    /// The quota of the control groups, in processors.
    case quota(Double)
    /// The value of `OMP_NUM_THREADS`.
    case environment
    /// The caller's request.
    case asked
    /// The maximum per processor, which is less than the request or `OMP_NUM_THREADS`.
    case maximum(asked: Int)
  }

  /// The number of threads, at least 1.
  public let count: Int
  /// The reason.
  public let reason: Reason

  /// The number of threads to use.
  ///
  /// - Parameters:
  ///   - asked: the requested number, if any.
  ///   - found: libtorch's default: one thread per core that the process may use, or `OMP_NUM_THREADS`.
  ///   - isFromEnvironment: whether `found` is `OMP_NUM_THREADS`.
  ///   - processors: the number of processors on which the process may run.
  ///   - quota: the quota of the control groups in processors; nil without a limit.
  static func choose(
    asked: Int?, found: Int, isFromEnvironment: Bool, processors: Int, quota: Double?
  ) -> ThreadChoice {
    // Results depend on the number of threads, so that reproducing another machine's may take more threads than there
    // are processors. With far more, each step only waits for all of them.
    let maximum = max(processors, 1) * 4
    if let wanted = asked ?? (isFromEnvironment ? found : nil) {
      if wanted > maximum { return .init(count: maximum, reason: .maximum(asked: wanted)) }
      return .init(count: max(wanted, 1), reason: asked == nil ? .environment : .asked)
    }
    let possible = max(min(found, processors), 1)
    if let quota, quota.rounded(.up) < Double(possible) {
      return .init(count: Int(exactly: max(quota, 1).rounded(.up)) ?? 1, reason: .quota(quota))
    }
    return .init(count: possible, reason: .processors)
  }

  /// Whether OpenMP accepts a value of `OMP_NUM_THREADS`: a positive integer, or a list that begins with one.
  static func isNumber(_ text: String?) -> Bool {
    guard let first = text?.split(separator: ",", omittingEmptySubsequences: false).first else { return false }
    return Int(first.trimmingCharacters(in: .whitespaces)).map { $0 > 0 } ?? false
  }

  /// The number and the reason, as in "2: one for each core that the process may run on".
  public var description: String {
    switch reason {
    case .processors: "\(count): one for each core that the process may run on"
    case .quota(let quota):
      "\(count): the control group (cgroup) grants the time of \(Self.plain(quota)) processors"
    case .environment: "\(count): OMP_NUM_THREADS"
    case .asked: "\(count): --threads"
    case .maximum(let asked): "\(count) instead of \(asked): four for each processor are the most that are used"
    }
  }

  private static func plain(_ value: Double) -> String {
    value == value.rounded() ? "\(Int(value))" : "\((value * 100).rounded() / 100)"
  }
}
