import Yams

/// The keys that a recipe may have, as a tree, to catch a misspelt one before it is silently ignored.
indirect enum KeyTree {
  case leaf
  case branch([String: KeyTree])

  /// A leaf for each coding key but some.
  static func leaves<Key: CodingKey & CaseIterable>(_ keys: Key.Type, except: [String] = []) -> [String: KeyTree] {
    let names = Key.allCases.map(\.stringValue).filter { !except.contains($0) }
    return Dictionary(uniqueKeysWithValues: names.map { ($0, KeyTree.leaf) })
  }

  /// Fails at the first key of a YAML mapping that has no place in the tree.
  func check(_ node: Node, in name: String, path: [String] = []) throws {
    guard case .branch(let children) = self, let mapping = node.mapping else { return }
    for (keyNode, value) in mapping {
      let key = keyNode.string ?? "\(keyNode)"
      try check(key: key, among: children, path: path, in: name)
      try children[key]?.check(value, in: name, path: path + [key])
    }
  }

  /// Fails if a path of keys leads nowhere.
  func check(path: [String], in name: String) throws {
    var tree = self
    for (depth, key) in path.enumerated() {
      guard case .branch(let children) = tree else {
        throw RecipeError("\(name): \(path[..<depth].joined(separator: ".")) has no keys below it")
      }
      try check(key: key, among: children, path: Array(path[..<depth]), in: name)
      tree = children[key] ?? .leaf
    }
  }

  private func check(key: String, among children: [String: KeyTree], path: [String], in name: String) throws {
    guard children[key] == nil else { return }
    let whole = (path + [key]).joined(separator: ".")
    let nearest = children.keys.sorted().min { distance(key, $0) < distance(key, $1) } ?? ""
    let suggestion = (path + [nearest]).joined(separator: ".")
    throw RecipeError("\(name): there is no key '\(whole)'; the nearest is '\(suggestion)'")
  }

  /// Single-character edits that turn one word into the other (Levenshtein).
  private func distance(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a.utf8), Array(b.utf8))
    var row = Array(0...b.count)
    for i in 0..<a.count {
      var diagonal = row[0]
      row[0] = i + 1
      for j in 0..<b.count {
        let replaced = diagonal + (a[i] == b[j] ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(replaced, row[j] + 1, row[j + 1] + 1)
      }
    }
    return row[b.count]
  }
}
