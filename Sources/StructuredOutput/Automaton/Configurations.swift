/// All configurations of an automaton after some text: each is a node of bytes, or the end of the document.
struct Configurations: Sendable, Hashable {
  private(set) var elements: [Configuration] = []

  /// Whether the text is a whole document.
  var isComplete: Bool { elements.contains { $0.node == PushdownAutomaton.end } }

  /// Whether no document starts with the text.
  var isEmpty: Bool { elements.isEmpty }

  /// The configurations at the start.
  static func initial(of automaton: PushdownAutomaton) -> Configurations {
    var closure = Closure(automaton)
    closure.add(Configuration(node: automaton.start, stack: nil))
    return Configurations(elements: closure.elements)
  }

  /// The configurations after one more byte.
  func after(_ byte: UInt8, in automaton: PushdownAutomaton) -> Configurations {
    var work = 0
    return after(byte, in: automaton, work: &work)
  }

  /// The same.
  ///
  /// - Parameter work: is lowered by the number of configurations that were looked at.
  func after(_ byte: UInt8, in automaton: PushdownAutomaton, work: inout Int) -> Configurations {
    var closure = Closure(automaton)
    defer { work -= elements.count + closure.visited.count }
    for configuration in elements {
      switch automaton.nodes[Int(configuration.node)] {
      case .bytes(let set, let next) where automaton.sets[Int(set)].contains(byte):
        closure.add(Configuration(node: next, stack: configuration.stack))
      case .branch(let range):
        for node in automaton[range] {
          guard case .bytes(let set, let next) = automaton.nodes[Int(node)], automaton.sets[Int(set)].contains(byte)
          else { continue }
          closure.add(Configuration(node: next, stack: configuration.stack))
        }
      default: break
      }
      if closure.isFull { break }
    }
    return Configurations(elements: closure.elements)
  }
}

/// Follows nodes that take no byte.
///
/// Configurations are added in the order of the schema, each once. Where there are too many the later ones are left
/// out: each one that is kept can still be completed.
private struct Closure {
  let automaton: PushdownAutomaton
  private(set) var elements: [Configuration] = []
  private(set) var visited: Set<Configuration> = []
  private var stacks: Set<Frame> = []

  init(_ automaton: PushdownAutomaton) { self.automaton = automaton }

  var isFull: Bool {
    elements.count >= JSONGrammarLimits.positions || visited.count >= 8 * JSONGrammarLimits.positions
  }

  mutating func add(_ first: Configuration) {
    var pending = [first]
    while let current = pending.popLast(), !isFull {
      let nesting = current.stack?.nesting ?? 0
      guard automaton.heights[Int(current.node)] + nesting <= JSONGrammarLimits.nesting else { continue }
      switch automaton.nodes[Int(current.node)] {
      case .bytes, .branch:
        if visited.insert(current).inserted { append(current) }
      case .end:
        guard let frame = current.stack else {
          if visited.insert(current).inserted { append(current) }
          continue
        }
        pending.append(Configuration(node: frame.node, count: frame.count, stack: frame.parent))
      case .choice(let range):
        guard visited.insert(current).inserted else { continue }
        for node in automaton[range].reversed() {
          pending.append(Configuration(node: node, stack: current.stack))
        }
      case .call(let rule, let nests, let next):
        guard visited.insert(current).inserted else { continue }
        let frame = Frame(node: next, count: 0, nests: nests, parent: current.stack)
        pending.append(Configuration(node: automaton.rules[Int(rule)], stack: frame))
      case .loop(let body, let minimum, let maximum, let next):
        guard visited.insert(current).inserted else { continue }
        if current.count >= minimum { pending.append(Configuration(node: next, stack: current.stack)) }
        guard maximum.map({ current.count < $0 }) ?? true else { continue }
        // Without a maximum, counts above the minimum are all the same.
        let count = maximum == nil ? min(current.count + 1, minimum) : current.count + 1
        let frame = Frame(node: current.node, count: count, nests: false, parent: current.stack)
        pending.append(Configuration(node: body, stack: frame))
      }
    }
  }

  private mutating func append(_ configuration: Configuration) {
    if let stack = configuration.stack, !stacks.contains(stack) {
      guard stacks.count < JSONGrammarLimits.stacks else { return }
      stacks.insert(stack)
    }
    elements.append(configuration)
  }
}
