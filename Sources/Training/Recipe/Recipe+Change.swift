import WidebandCheckedInput

extension Recipe {
  /// The keys that may change when a run is resumed: paths, the length of the run, evaluation, checkpoints, samples,
  /// and the division of a step into batches. All other keys change what a step computes.
  private static let changeable = [
    "data", "from", "training.steps", "training.rows_per_batch", "training.activation_checkpointing", "validation",
    "checkpoint", "sample",
  ]

  /// A key with its values in an earlier and in this recipe.
  package typealias Change = (key: String, old: String, new: String)

  /// The first key, in alphabetical order, whose value differs from an earlier recipe's, apart from the keys that may
  /// change; nil if there is none.
  func change(from old: Recipe) throws -> Change? { try difference(from: old, except: Self.changeable) }

  /// The first key, in alphabetical order, whose value differs from an earlier recipe's; nil if there is none.
  ///
  /// - Parameter excluded: keys that may differ, with those below them.
  package func difference(from old: Recipe, except excluded: [String] = []) throws -> Change? {
    let (before, after) = (try old.leaves(), try leaves())
    let keys = Set(before.keys).union(after.keys).filter { key in
      !excluded.contains { key == $0 || key.hasPrefix($0 + ".") }
    }
    return keys.sorted().first { before[$0] != after[$0] }.map { key in
      (key, before[key] ?? "not there", after[key] ?? "not there")
    }
  }

  /// The values by the paths of their keys.
  func leaves() throws -> [String: String] {
    func leaves(_ value: JSONValue, _ path: [String]) -> [String: String] {
      switch value {
      case .object(let members):
        members.reduce(into: [:]) { $0.merge(leaves($1.value, path + [$1.key])) { first, _ in first } }
      case .array(let elements):
        [path.joined(separator: "."): "[\(elements.map(\.summary).joined(separator: ", "))]"]
      default: [path.joined(separator: "."): value.summary]
      }
    }
    return leaves(try JSONValue(parsing: json(), file: "recipe"), [])
  }
}
