import WidebandCheckedInput

/// The tokens of a vocabulary as a tree of their bytes.
///
/// Nodes are stored in preorder with the end of their subtree. A walk is a scan that jumps over the subtrees of bytes
/// that a grammar does not accept.
public final class TokenTrie: Sendable {
  private struct Node {
    /// The node after the subtree.
    var end: Int32
    /// The first of the node's tokens in `tokens`; those of the next node follow.
    var firstToken: Int32
    /// The number of bytes on the path to the node.
    var depth: Int32
    var byte: UInt8
  }

  private let nodes: [Node]
  /// Ids in the order of their bytes.
  private let tokens: [TokenID]
  private let maximumDepth: Int
  /// The number of ids.
  public let vocabularySize: Int

  /// Builds the tree.
  ///
  /// - Parameter tokens: the bytes of each id; nil or empty for tokens that are no text, which no grammar allows.
  public init(_ tokens: [[UInt8]?]) {
    vocabularySize = tokens.count
    let sorted = tokens.indices.filter { !(tokens[$0] ?? []).isEmpty }
      .map { (id: TokenID($0), bytes: tokens[$0] ?? []) }
      .sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
    self.tokens = sorted.map(\.id)
    var nodes: [Node] = []
    var path: [Int] = []
    var previous: [UInt8] = []
    for (index, token) in sorted.enumerated() where index == 0 || token.bytes != previous {
      let shared = zip(previous, token.bytes).prefix { $0 == $1 }.count
      for node in path[shared...] { nodes[node].end = Int32(nodes.count) }
      path.removeSubrange(shared...)
      for byte in token.bytes[shared...] {
        path.append(nodes.count)
        nodes.append(Node(end: 0, firstToken: Int32(index), depth: Int32(path.count), byte: byte))
      }
      previous = token.bytes
    }
    for node in path { nodes[node].end = Int32(nodes.count) }
    maximumDepth = sorted.map(\.bytes.count).max() ?? 0
    nodes.append(Node(end: Int32(nodes.count), firstToken: Int32(sorted.count), depth: 0, byte: 0))
    self.nodes = nodes
  }

  /// Writes which ids may follow a text: those whose bytes the state accepts.
  ///
  /// Ids without bytes are false. The end of the text may follow if the state is complete; its id is the caller's
  /// business.
  ///
  /// - Parameter mask: gets at least ``vocabularySize`` elements. Elements above are false.
  public func allowed(by state: JSONGrammar.State, into mask: inout [Bool]) {
    let words = state.grammar.transitions.withLock { cache in
      let identifier = cache.identifier(of: state.configurations)
      if let known = cache.mask(of: identifier, for: self) { return known }
      return walk(from: identifier, &cache)
    }
    let size = max(mask.count, vocabularySize)
    mask = Array(unsafeUninitializedCapacity: size) { buffer, count in
      for (index, word) in words.enumerated() {
        for bit in 0..<min(64, vocabularySize - index * 64) {
          buffer.initializeElement(at: index * 64 + bit, to: word >> UInt64(bit) & 1 != 0)
        }
      }
      buffer[vocabularySize...].initialize(repeating: false)
      count = size
    }
  }

  private func walk(from start: Int32, _ cache: inout TransitionCache) -> [UInt64] {
    // The states after each byte of the path.
    var walk = Walk(path: [Int32](repeating: start, count: maximumDepth + 1), vocabularySize: vocabularySize)
    var work = JSONGrammarLimits.maskWork
    while walk.index < nodes.count - 1 {
      cache.withRows { scan(&walk, $0) }
      guard walk.index < nodes.count - 1 else { break }
      let node = nodes[walk.index]
      let depth = Int(node.depth)
      guard work > 0 || depth == 1 else {
        walk.index = Int(node.end)
        continue
      }
      if cache.isFull { cache.reset(keeping: &walk.path[..<depth]) }
      _ = cache.compute(walk.path[depth - 1], node.byte, work: &work)
    }
    cache.store(walk.words, of: walk.path[0], for: self)
    return walk.words
  }

  private struct Walk {
    var path: [Int32]
    var index = 0
    var words: [UInt64]

    init(path: [Int32], vocabularySize: Int) {
      self.path = path
      words = Array(repeating: 0, count: (vocabularySize + 63) / 64)
    }
  }

  /// Goes on to the end, or to the first node whose transition is unknown.
  private func scan(_ walk: inout Walk, _ rows: UnsafeBufferPointer<Int32>) {
    var index = walk.index
    nodes.withUnsafeBufferPointer { nodes in
      tokens.withUnsafeBufferPointer { tokens in
        walk.path.withUnsafeMutableBufferPointer { path in
          walk.words.withUnsafeMutableBufferPointer { words in
            while index < nodes.count - 1 {
              let node = nodes[index]
              let next = rows[Int(path[Int(node.depth) - 1]) << 8 | Int(node.byte)]
              guard next >= 0 else {
                if next == TransitionCache.unknown { break }
                index = Int(node.end)
                continue
              }
              path[Int(node.depth)] = next
              for position in Int(node.firstToken)..<Int(nodes[index + 1].firstToken) {
                let token = tokens[position]
                words[Int(token) >> 6] |= 1 << UInt64(token & 63)
              }
              index += 1
            }
          }
        }
      }
    }
    walk.index = index
  }
}
