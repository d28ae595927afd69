import Foundation
import LanguageModel
import VirtualWidth
import Yams

/// A recipe that cannot be used: one sentence that names the file or key, its value and what was expected.
public struct RecipeError: Error, CustomStringConvertible, Sendable {
  /// The sentence.
  public let description: String

  init(_ description: String) { self.description = description }
}

extension Recipe {
  /// Reads a recipe and applies changes to it.
  ///
  /// - Parameters:
  ///   - text: YAML.
  ///   - name: what an error calls the text, such as its file.
  ///   - changes: `key.path=value` each, as given to `--set`; the value is YAML.
  ///   - vocabularySize: what `model.vocab_size` is where the recipe leaves it out.
  ///   - start: what the model folder says that the run starts from; the recipe may then leave its model and the
  ///     initial values out.
  /// - Throws: `RecipeError` for YAML that does not parse, a key that does not exist (with the nearest that does), a
  ///   value of the wrong kind, and sizes that do not fit each other.
  public init(
    yaml text: String, name: String, changes: [String] = [], vocabularySize: Int? = nil,
    startingFrom start: ModelConfiguration? = nil
  ) throws {
    var root = try Self.node(yaml: text, name: name, changes: changes)
    if let start { try Self.fill(&root, from: start) }
    guard root["model"] != nil || (root["direct_decoding"] == nil && root["lora"] == nil) else {
      throw RecipeError("\(name): no model: expected --from, or a key 'from' or 'model'")
    }
    if let vocabularySize, root["model"]?["vocab_size"] == nil {
      try Self.apply("model.vocab_size=\(vocabularySize)", to: &root)
    }
    do {
      self = try YAMLDecoder().decode(Recipe.self, from: root)
    } catch let error as DecodingError {
      throw RecipeError("\(name): \(Self.sentence(for: error, in: root))")
    } catch let error as ConfigurationError {
      throw RecipeError("\(name): model.\(error)")
    }
    if let start, let own = from { try requireModel(start, of: own, name) }
    if let directDecoding { model.directDecoding = directDecoding.split }
    try validate(name)
  }

  /// Puts what a model folder says in place of what a recipe leaves out.
  private static func fill(_ root: inout Node, from start: ModelConfiguration) throws {
    let encoder = JSONEncoder()
    func node(_ value: some Encodable) throws -> Node {
      try Yams.compose(yaml: String(decoding: encoder.encode(value), as: UTF8.self)) ?? Node("")
    }
    for (key, value) in try node(start).mapping ?? [:] where root["model"]?[key] == nil {
      root = set(value, at: ["model", key.string ?? ""], in: root)
    }
    if root["initial_values"] == nil { root = set(try node(InitialValues.standard), at: ["initial_values"], in: root) }
  }

  /// Fails if the recipe's model is another than that of the folder it starts from, apart from how it is decoded.
  private func requireModel(_ start: ModelConfiguration, of folder: String, _ name: String) throws {
    var (own, other) = (model, start)
    own.directDecoding = nil
    other.directDecoding = nil
    if own.endOfTextTokens.isEmpty { own.endOfTextTokens = other.endOfTextTokens }
    guard own == other else {
      throw RecipeError("\(name): model is not that of \(folder)/config.json: expected the same, or no key 'model'")
    }
  }

  /// The tree of a recipe's text after its changes, with no key that a recipe does not have.
  private static func node(yaml text: String, name: String, changes: [String]) throws -> Node {
    var root: Node
    do {
      root = try Yams.compose(yaml: text) ?? .mapping(.init([]))
    } catch {
      throw RecipeError("\(name): not YAML: \(firstLine(of: error))")
    }
    guard root.mapping != nil else { throw RecipeError("\(name): expected a mapping of keys to values") }
    for change in changes { try apply(change, to: &root) }
    try keys.check(root, in: name)
    return root
  }

  private static let keys = KeyTree.branch([
    "data": .leaf,
    "from": .leaf,
    "direct_decoding": .branch(KeyTree.leaves(DirectDecoding.CodingKeys.self)),
    "lora": .branch(KeyTree.leaves(LowRankAdaptation.CodingKeys.self)),
    "model": .branch(
      KeyTree.leaves(ModelConfiguration.CodingKeys.self, except: ["virtual_width", "multi_token_prediction"])
        .merging(
          [
            "virtual_width": .branch(KeyTree.leaves(VirtualWidth.CodingKeys.self)),
            "multi_token_prediction": .branch(
              KeyTree.leaves(ModelConfiguration.MultiTokenPrediction.CodingKeys.self)),
          ], uniquingKeysWith: { first, _ in first })),
    "initial_values": .branch(KeyTree.leaves(InitialValues.CodingKeys.self)),
    "training": .branch(KeyTree.leaves(Plan.CodingKeys.self)),
    "optimizer": .branch(KeyTree.leaves(Optimizer.CodingKeys.self)),
    "schedule": .branch(KeyTree.leaves(ScheduleSettings.CodingKeys.self)),
    "validation": .branch(KeyTree.leaves(Validation.CodingKeys.self)),
    "checkpoint": .branch(KeyTree.leaves(Checkpoints.CodingKeys.self)),
    "sample": .branch(KeyTree.leaves(Sample.CodingKeys.self)),
  ])

  private static func apply(_ change: String, to root: inout Node) throws {
    guard let equals = change.firstIndex(of: "="), equals != change.startIndex else {
      throw RecipeError("--set \(change): expected key.path=value")
    }
    let path = change[..<equals].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    let text = String(change[change.index(after: equals)...])
    let value: Node
    do {
      value = try Yams.compose(yaml: text) ?? Node("")
    } catch {
      throw RecipeError("--set \(change): the value is not YAML: \(firstLine(of: error))")
    }
    try keys.check(path: path, in: "--set \(change)")
    root = set(value, at: path[...], in: root)
  }

  private static func set(_ value: Node, at path: ArraySlice<String>, in node: Node?) -> Node {
    guard let key = path.first else { return value }
    var mapping = node?.mapping ?? Node.Mapping([])
    let isRemoval = path.count == 1 && value.null != nil
    mapping[Node(key)] = isRemoval ? nil : set(value, at: path.dropFirst(), in: mapping[Node(key)])
    return .mapping(mapping)
  }

  private static func firstLine(of error: any Error) -> String {
    "\(error)".split(separator: "\n").first.map(String.init) ?? "\(error)"
  }

  private static func sentence(for error: DecodingError, in root: Node) -> String {
    switch error {
    case .keyNotFound(let key, let context):
      return "the key \((context.codingPath + [key]).map(\.stringValue).joined(separator: ".")) is missing"
    case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
      return "\(found(at: context.codingPath, in: root)): expected \(describe(type))"
    case .dataCorrupted(let context):
      let path = context.codingPath.filter { $0.intValue == nil }.map(\.stringValue).joined(separator: ".")
      let words = choices[path] ?? ModelConfiguration.choices[String(path.dropFirst("model.".count))]
      let expected = words.map { "expected one of \($0.joined(separator: ", "))" }
      return "\(found(at: context.codingPath, in: root)): \(expected ?? context.debugDescription)"
    @unknown default: return "\(error)"
    }
  }

  /// A key and what a recipe has there.
  private static func found(at path: [any CodingKey], in root: Node) -> String {
    let name = path.reduce("") { name, key in
      key.intValue.map { "\(name)[\($0)]" } ?? (name.isEmpty ? "" : name + ".") + key.stringValue
    }
    let value = path.reduce(Node?.some(root)) { node, key in
      if let index = key.intValue { node?[index] } else { node?[key.stringValue] }
    }
    switch value {
    case .scalar(let scalar): return "\(name) is '\(scalar.string)'"
    case .sequence: return "\(name) is a list"
    case .mapping: return "\(name) is a mapping"
    default: return name
    }
  }

  private static func describe(_ type: Any.Type) -> String {
    switch type {
    case is Int.Type: "a whole number"
    case is UInt64.Type: "a whole number that is not negative"
    case is Double.Type: "a number"
    case is Bool.Type: "true or false"
    case is String.Type: "text"
    case is Node.Scalar.Type: "a single value"
    case is Node.Sequence.Type: "a list"
    default: "a mapping of keys to values"
    }
  }

  /// The words that a key may have where it may not have any.
  private static let choices = [
    "model.direct_decoding.gate": ModelConfiguration.DirectDecoding.Gate.allCases.map(\.rawValue),
    "direct_decoding.gate": ModelConfiguration.DirectDecoding.Gate.allCases.map(\.rawValue),
    "direct_decoding.frozen": DirectDecoding.Frozen.allCases.map(\.rawValue),
    "lora.targets": LowRankAdaptation.Target.allCases.map(\.rawValue),
    "direct_decoding.objective": DirectDecoding.Objective.allCases.map(\.rawValue),
    "initial_values.reduce": InitialValues.Reduce.allCases.map(\.rawValue),
    "initial_values.expand": InitialValues.Expand.allCases.map(\.rawValue),
    "schedule.kind": ScheduleSettings.Kind.allCases.map(\.rawValue),
  ]
}

extension Recipe {
  /// The folders that a recipe with its changes names, before the rest of it is read: the data decides the vocabulary
  /// that the rest may leave out, the model folder that a run starts from its whole model. Also whether adapters are
  /// trained and not the folder's weights.
  public static func folders(
    yaml text: String, name: String, changes: [String]
  ) throws -> (data: String?, from: String?, adapts: Bool) {
    let root = try node(yaml: text, name: name, changes: changes)
    return (root["data"]?.string, root["from"]?.string, root["lora"] != nil)
  }
}
