import CheckedInput

/// The keys that a recipe may have, as a tree, to catch a misspelt one before it is silently ignored.
indirect enum KeyTree {
  case leaf
  /// A key whose value is text, whatever its word would mean elsewhere: 123, no.
  case text
  case branch([String: KeyTree])

  /// A leaf for each coding key but some.
  static func leaves<Key: CodingKey & CaseIterable>(_ keys: Key.Type, except: [String] = []) -> [String: KeyTree] {
    let names = Key.allCases.map(\.stringValue).filter { !except.contains($0) }
    return Dictionary(uniqueKeysWithValues: names.map { ($0, KeyTree.leaf) })
  }

  /// What is below a key; nil for one that is not there.
  func child(_ key: String) -> KeyTree? {
    guard case .branch(let children) = self else { return nil }
    return children[key]
  }

  /// Whether it is a key whose value is text.
  var isText: Bool { if case .text = self { true } else { false } }

  /// Fails at the first key of a value that has no place in the tree.
  func check(_ value: JSONValue, in name: String, path: [String] = []) throws {
    guard case .branch(let children) = self, case .object(let members) = value else { return }
    for (key, value) in members {
      try check(key: key, among: children, path: path, in: name)
      try children[key]?.check(value, in: name, path: path + [key])
    }
  }

  /// Fails if a path of keys leads nowhere; gives what is at its end.
  func check(path: [String], in name: String) throws -> KeyTree {
    var tree = self
    for (depth, key) in path.enumerated() {
      guard case .branch(let children) = tree else {
        throw InputError("\(name): \(path[..<depth].joined(separator: ".")) has no keys below it")
      }
      try check(key: key, among: children, path: Array(path[..<depth]), in: name)
      tree = children[key] ?? .leaf
    }
    return tree
  }

  private func check(key: String, among children: [String: KeyTree], path: [String], in name: String) throws {
    guard children[key] == nil else { return }
    let whole = (path + [key]).joined(separator: ".")
    let nearest = children.keys.sorted().min { distance(key, $0) < distance(key, $1) } ?? ""
    let suggestion = (path + [nearest]).joined(separator: ".")
    throw InputError("\(name): there is no key \(quoted(whole)); the nearest is '\(suggestion)'")
  }

  /// Single-character edits that turn one word into the other (Levenshtein), of the beginning of a long one.
  private func distance(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a.utf8.prefix(200)), Array(b.utf8))
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
