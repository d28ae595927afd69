/// How many drafts were accepted.
public struct DraftCounts: Hashable, Sendable {
  /// Passes that verified a first, second, … draft after a token that was verified before.
  public internal(set) var proposed: [Int] = []
  /// In how many of them it was accepted, together with all drafts before it.
  public internal(set) var accepted: [Int] = []
  /// Passes of the whole model after the prompt.
  public internal(set) var passes = 0

  mutating func add(proposed count: Int, accepted hits: Int) {
    passes += 1
    for index in 0..<count {
      if index == proposed.count {
        proposed.append(0)
        accepted.append(0)
      }
      proposed[index] += 1
      if index < hits { accepted[index] += 1 }
    }
  }
}
