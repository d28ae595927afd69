/// One entry of a stack, with the entries below it. Stacks share their lower entries.
final class Frame: Sendable, Hashable {
  /// The node that follows when the top entry's rule ends, or the loop whose body ends.
  let node: NodeID
  /// For a loop, how many times its body will have been completed.
  let count: Int32
  /// The number of objects and lists that are open.
  let nesting: Int32
  let parent: Frame?
  private let hash: Int

  init(node: NodeID, count: Int32, nests: Bool, parent: Frame?) {
    (self.node, self.count, self.parent) = (node, count, parent)
    nesting = (parent?.nesting ?? 0) + (nests ? 1 : 0)
    var hasher = Hasher()
    hasher.combine(node)
    hasher.combine(count)
    hasher.combine(parent?.hash)
    hash = hasher.finalize()
  }

  func hash(into hasher: inout Hasher) { hasher.combine(hash) }

  /// Whether all entries are equal. Stacks with a common part are compared only down to it.
  static func == (first: Frame, second: Frame) -> Bool {
    var (first, second) = (first, second)
    while first !== second {
      guard first.hash == second.hash, first.node == second.node, first.count == second.count,
        first.nesting == second.nesting
      else { return false }
      guard let lower = first.parent, let otherLower = second.parent else {
        return first.parent == nil && second.parent == nil
      }
      (first, second) = (lower, otherLower)
    }
    return true
  }
}

/// A node and the stack on which it was reached.
struct Configuration: Sendable, Hashable {
  let node: NodeID
  /// For a loop, how many times its body was completed.
  var count: Int32 = 0
  let stack: Frame?
}
