/// The transitions of a grammar that were computed so far: a deterministic automaton that grows where texts lead, and
/// the masks of its states.
struct TransitionCache {
  static let unknown: Int32 = -1
  static let rejected: Int32 = -2

  private let automaton: PushdownAutomaton
  private var states: [Configurations] = []
  private var identifiers: [Configurations: Int32] = [:]
  /// For each state, the next states of all bytes.
  private var rows: [Int32] = []
  private var masks: [Int32: Mask] = [:]

  /// A mask as bits. It is of one vocabulary, which it keeps alive so that no other has its identity.
  private struct Mask {
    let trie: TokenTrie
    let words: [UInt64]
  }

  init(_ automaton: PushdownAutomaton) { self.automaton = automaton }

  /// The number of a state.
  mutating func identifier(of state: Configurations) -> Int32 {
    if let known = identifiers[state] { return known }
    let identifier = Int32(states.count)
    states.append(state)
    identifiers[state] = identifier
    rows += repeatElement(Self.unknown, count: 256)
    return identifier
  }

  /// Gives the next states of all states and bytes: at `state << 8 | byte` the next state, or ``rejected``, or
  /// ``unknown``.
  func withRows<Result>(_ body: (UnsafeBufferPointer<Int32>) -> Result) -> Result {
    rows.withUnsafeBufferPointer(body)
  }

  /// Computes the next state.
  ///
  /// - Parameter work: is lowered by the cost.
  mutating func compute(_ state: Int32, _ byte: UInt8, work: inout Int) -> Int32 {
    let following = states[Int(state)].after(byte, in: automaton, work: &work)
    let next = following.isEmpty ? Self.rejected : identifier(of: following)
    rows[Int(state) << 8 | Int(byte)] = next
    return next
  }

  var isFull: Bool { states.count >= JSONGrammarLimits.cachedStates }

  /// Forgets all states but some, which get new numbers.
  mutating func reset(keeping kept: inout ArraySlice<Int32>) {
    let keptStates = kept.map { states[Int($0)] }
    states = []
    identifiers = [:]
    rows = []
    masks = [:]
    for (index, state) in zip(kept.indices, keptStates) { kept[index] = identifier(of: state) }
  }

  func mask(of state: Int32, for trie: TokenTrie) -> [UInt64]? {
    masks[state].flatMap { $0.trie === trie ? $0.words : nil }
  }

  mutating func store(_ words: [UInt64], of state: Int32, for trie: TokenTrie) {
    if masks.count >= JSONGrammarLimits.cachedMasks { masks = [:] }
    masks[state] = Mask(trie: trie, words: words)
  }
}
