import CheckedInput
import Foundation
import LanguageModel
import VirtualWidth

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
  /// - Throws: `InputError` for YAML that does not parse, a key that does not exist (with the nearest that does), a
  ///   value of the wrong kind, and sizes that do not fit each other.
  public init(
    yaml text: String, name: String, changes: [String] = [], vocabularySize: Int? = nil,
    startingFrom start: ModelConfiguration? = nil
  ) throws {
    let name = printable(name)
    var root = try Self.tree(yaml: text, name: name, changes: changes)
    if let start { try Self.fill(&root, from: start) }
    guard root["model"] != nil || (root["direct_decoding"] == nil && root["lora"] == nil) else {
      throw InputError("\(name): no model: expected --from, or a key 'from' or 'model'")
    }
    if let vocabularySize, case .object(let model)? = root["model"], model["vocab_size"] == nil {
      root = root.setting(.number(JSONNumber("\(vocabularySize)")), at: ["model", "vocab_size"])
    }
    do {
      self = try ValueDecoder(name).decode(Recipe.self, from: .object(root))
    } catch let error as ConfigurationError {
      throw InputError("\(name): model.\(error)")
    }
    if let start, let own = from { try requireModel(start, of: own, name) }
    try validate(name)
    if let directDecoding { model.directDecoding = directDecoding.split }
  }

  /// The text of a recipe's file.
  ///
  /// - Throws: `InputError` for what is no file of text, and for one that is far larger than a recipe.
  public static func text(of file: String) throws -> String {
    let bytes = try boundedContents(of: fileURL(file), limit: 1 << 20)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw InputError("\(printable(file)): is not UTF-8 text")
    }
    return text
  }

  /// The folders that a recipe with its changes names, before the rest of it is read: the data decides the vocabulary
  /// that the rest may leave out, the model folder that a run starts from its whole model. Also whether adapters are
  /// trained and not the folder's weights.
  public static func folders(
    yaml text: String, name: String, changes: [String]
  ) throws -> (data: String?, from: String?, adapts: Bool) {
    struct Folders: Decodable { let data, from: String? }
    let name = printable(name)
    let root = try tree(yaml: text, name: name, changes: changes)
    let folders = try ValueDecoder(name).decode(Folders.self, from: .object(root))
    return (folders.data, folders.from, root["lora"] != nil)
  }

  /// Puts what a model folder says in place of what a recipe leaves out.
  private static func fill(_ root: inout JSONObject, from start: ModelConfiguration) throws {
    func value(_ value: some Encodable) throws -> JSONValue {
      try JSONValue(parsing: JSONEncoder().encode(value), file: "config.json")
    }
    if case .object(let model) = try value(start) {
      for (key, value) in model where root.value(at: ["model", key]) == nil {
        root = root.setting(value, at: ["model", key])
      }
    }
    if root["initial_values"] == nil { root["initial_values"] = try value(InitialValues.standard) }
  }

  /// Fails if the recipe's model is another than that of the folder it starts from, apart from how it is decoded.
  private func requireModel(_ start: ModelConfiguration, of folder: String, _ name: String) throws {
    var (own, other) = (model, start)
    own.directDecoding = nil
    other.directDecoding = nil
    if own.endOfTextTokens.isEmpty { own.endOfTextTokens = other.endOfTextTokens }
    guard own == other else {
      throw InputError(
        "\(name): model is not that of \(printable(folder))/config.json: expected the same, or no key 'model'")
    }
  }

  /// The tree of a recipe's text after its changes, with no key that a recipe does not have.
  private static func tree(yaml text: String, name: String, changes: [String]) throws -> JSONObject {
    let document = try YAMLReader.value(text, name: name, schema: keys) ?? .object(JSONObject())
    guard case .object(var root) = document else {
      throw InputError("\(name): is \(document.summary): expected a mapping of keys to values")
    }
    for change in changes { try apply(change, to: &root) }
    try keys.check(.object(root), in: name)
    return root
  }

  private static let keys = KeyTree.branch([
    "data": .text,
    "from": .text,
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
    "sample": .branch(
      KeyTree.leaves(Sample.CodingKeys.self, except: ["prompt"]).merging(["prompt": .text]) { first, _ in first }),
  ])

  private static func apply(_ change: String, to root: inout JSONObject) throws {
    let name = "--set \(printable(change))"
    guard let equals = change.firstIndex(of: "="), equals != change.startIndex else {
      throw InputError("\(name): expected key.path=value")
    }
    let path = change[..<equals].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    let schema = try keys.check(path: path, in: name)
    let text = String(change[change.index(after: equals)...])
    // Nothing is a text of no characters; null and ~ take the key away.
    let value = try YAMLReader.value(text, name: name, hasLines: false, schema: schema) ?? .string("")
    root = root.setting(value == .null ? nil : value, at: path[...])
  }
}

extension JSONObject {
  /// The same with a value at the end of a path of keys, along which objects are made where there are none; nil takes
  /// the last key away.
  func setting(_ value: JSONValue?, at path: ArraySlice<String>) -> JSONObject {
    guard let key = path.first else { return self }
    var members = self
    if path.count == 1 {
      members[key] = value
    } else if case .object(let inner)? = members[key] {
      members[key] = .object(inner.setting(value, at: path.dropFirst()))
    } else {
      members[key] = .object(JSONObject().setting(value, at: path.dropFirst()))
    }
    return members
  }

  /// The value at the end of a path of keys.
  func value(at path: ArraySlice<String>) -> JSONValue? {
    guard let key = path.first, let value = self[key] else { return nil }
    guard path.count > 1 else { return value }
    if case .object(let inner) = value { return inner.value(at: path.dropFirst()) }
    return nil
  }
}
