import WidebandCheckedInput

/// The tree of the keys of a recipe or of a study's plan, by which misspelt keys are found.
package indirect enum RecipeSchema: Sendable {
  /// A key with a value of any type.
  case leaf
  /// A key whose value is a string, even if it looks like a number or boolean, such as 123 or no.
  case text
  /// A key whose value is an object with these keys.
  case branch([String: RecipeSchema])
  /// A key whose value is an object with any keys, such as names, each with a value of the same schema.
  case entries(RecipeSchema)

  /// A branch with a leaf for each coding key, except for those with another schema.
  package static func section<Key: CodingKey & CaseIterable>(_ keys: Key.Type, _ others: [String: Self] = [:]) -> Self {
    let leaves = Key.allCases.map { ($0.stringValue, Self.leaf) }
    return .branch(Dictionary(uniqueKeysWithValues: leaves).merging(others) { $1 })
  }

  /// The schema of a key's value; nil for an unknown key.
  func child(_ key: String) -> RecipeSchema? {
    switch self {
    case .branch(let children): children[key]
    case .entries(let entry): entry
    case .leaf, .text: nil
    }
  }

  /// Whether the value is a string.
  var isText: Bool { if case .text = self { true } else { false } }

  /// Checks that all keys of a value are known.
  ///
  /// - Throws: `InputError` that names the first unknown key and the nearest known one.
  package func check(_ value: JSONValue, in name: String, path: [String] = []) throws {
    guard case .object(let members) = value else { return }
    for (key, value) in members {
      if case .branch(let children) = self { try check(key: key, among: children, path: path, in: name) }
      try child(key)?.check(value, in: name, path: path + [key])
    }
  }

  /// The schema at a path of keys.
  ///
  /// - Throws: `InputError` that names an unknown key and the nearest known one.
  func check(path: [String], in name: String) throws -> RecipeSchema {
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

  private func check(key: String, among children: [String: RecipeSchema], path: [String], in name: String) throws {
    guard children[key] == nil else { return }
    let whole = (path + [key]).joined(separator: ".")
    let nearest = children.keys.sorted().min { distance(key, $0) < distance(key, $1) } ?? ""
    let suggestion = (path + [nearest]).joined(separator: ".")
    throw InputError("\(name): there is no key \(quoted(whole)); the nearest is '\(suggestion)'")
  }

  /// The Levenshtein distance between two words; of a long first one, its first 200 bytes count.
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
