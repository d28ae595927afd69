import Foundation

/// How many threads compute, and what decided it.
public struct ThreadChoice: Equatable, Sendable, CustomStringConvertible {
  /// What decided the number.
  public enum Reason: Equatable, Sendable {
    /// The processors on which the process may run.
    case processors
    /// Fewer: a processor's time for so many is all that control groups grant.
    case quota(Double)
    /// `OMP_NUM_THREADS`.
    case environment
    /// The one who runs the program.
    case asked
    /// One of the two before named more than is of any use.
    case most(asked: Int)
  }

  /// Threads, at least one.
  public let count: Int
  /// What decided.
  public let reason: Reason

  /// Chooses.
  ///
  /// - Parameters:
  ///   - asked: what was asked for, if anything.
  ///   - found: what libtorch uses by itself: a thread for each core that the process may use, or `OMP_NUM_THREADS`.
  ///   - isFromEnvironment: whether `found` is `OMP_NUM_THREADS`.
  ///   - processors: on how many processors the process may run.
  ///   - quota: processors' worth of time that control groups grant, if they limit it.
  static func choose(
    asked: Int?, found: Int, isFromEnvironment: Bool, processors: Int, quota: Double?
  ) -> ThreadChoice {
    // Results depend on the number of threads, so that one may want as many as another machine has. But with many more
    // than there are processors, each step is only a round of waiting for all of them.
    let most = max(processors, 1) * 4
    if let wanted = asked ?? (isFromEnvironment ? found : nil) {
      if wanted > most { return .init(count: most, reason: .most(asked: wanted)) }
      return .init(count: max(wanted, 1), reason: asked == nil ? .environment : .asked)
    }
    let possible = max(min(found, processors), 1)
    if let quota, quota.rounded(.up) < Double(possible) {
      return .init(count: Int(exactly: max(quota, 1).rounded(.up)) ?? 1, reason: .quota(quota))
    }
    return .init(count: possible, reason: .processors)
  }

  /// Whether OpenMP takes the value of `OMP_NUM_THREADS`: a positive integer, or several of which the first counts here.
  static func isNumber(_ text: String?) -> Bool {
    guard let first = text?.split(separator: ",", omittingEmptySubsequences: false).first else { return false }
    return Int(first.trimmingCharacters(in: .whitespaces)).map { $0 > 0 } ?? false
  }

  /// "2: one for each core that the process may run on", as in a sentence on a machine.
  public var description: String {
    switch reason {
    case .processors: "\(count): one for each core that the process may run on"
    case .quota(let quota):
      "\(count): the control group (cgroup) grants the time of \(Self.plain(quota)) processors"
    case .environment: "\(count): OMP_NUM_THREADS"
    case .asked: "\(count): --threads"
    case .most(let asked): "\(count) instead of \(asked): four for each processor are the most that are used"
    }
  }

  private static func plain(_ value: Double) -> String {
    value == value.rounded() ? "\(Int(value))" : "\((value * 100).rounded() / 100)"
  }
}
