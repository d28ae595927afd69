import Foundation
import WidebandCheckedInput
import WidebandLanguageModel
import WidebandVirtualWidth

extension Recipe {
  /// Reads a recipe and applies changes to it.
  ///
  /// - Parameters:
  ///   - text: the recipe as YAML.
  ///   - name: the name of the text in errors, such as its path.
  ///   - changes: changes of the form `key.path=value`, as given to `--set`; the value is YAML.
  ///   - vocabularySize: the default of `model.vocab_size`.
  ///   - start: the configuration of the model folder that the run starts from, which provides the default of the
  ///     model. The initial values are then optional too.
  /// - Throws: `InputError` for malformed YAML, an unknown key (with the nearest known one), a value of the wrong type,
  ///   and values that contradict each other.
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
      root[["model", "vocab_size"]] = .number(JSONNumber("\(vocabularySize)"))
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

  /// The content of a recipe file.
  ///
  /// - Throws: `InputError` if the file cannot be read, is not UTF-8, or is larger than 1 MiB.
  public static func text(of file: String) throws -> String {
    let bytes = try boundedContents(of: fileURL(file), limit: 1 << 20)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw InputError("\(printable(file)): is not UTF-8 text")
    }
    return text
  }

  /// The data folder and the model folder that a recipe with its changes names, and whether it trains adapters or for
  /// direct decoding. They are read before the rest of the recipe, since they provide the defaults of the vocabulary size
  /// and of the model.
  ///
  /// - Throws: `InputError` for malformed YAML, an unknown key and a value of the wrong type.
  public static func folders(
    yaml text: String, name: String, changes: [String]
  ) throws -> (data: String?, from: String?, adapts: Bool, decodesDirectly: Bool) {
    struct Folders: Decodable { let data, from: String? }
    let name = printable(name)
    let root = try tree(yaml: text, name: name, changes: changes)
    let folders = try ValueDecoder(name).decode(Folders.self, from: .object(root))
    return (folders.data, folders.from, root["lora"] != nil, root["direct_decoding"] != nil)
  }

  /// Adds the keys of a model folder's configuration that a recipe omits.
  private static func fill(_ root: inout JSONObject, from start: ModelConfiguration) throws {
    func value(_ value: some Encodable) throws -> JSONValue {
      try JSONValue(parsing: JSONEncoder().encode(value), file: "config.json")
    }
    if case .object(let model) = try value(start) {
      for (key, value) in model where root[["model", key]] == nil { root[["model", key]] = value }
    }
    if root["initial_values"] == nil { root["initial_values"] = try value(InitialValues.standard) }
  }

  /// Checks that the recipe's model is that of the folder that it starts from, apart from the layer split.
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

  /// The tree of a recipe's text after its changes, checked for unknown keys.
  private static func tree(yaml text: String, name: String, changes: [String]) throws -> JSONObject {
    let document = try YAMLReader.value(text, name: name, schema: keys) ?? .object(JSONObject())
    guard case .object(var root) = document else {
      throw InputError("\(name): is \(document.summary): expected a mapping of keys to values")
    }
    for change in changes { try apply(change, to: &root) }
    try keys.check(.object(root), in: name)
    return root
  }

  private static let keys = RecipeSchema.section(
    CodingKeys.self,
    [
      "data": .text,
      "from": .text,
      "direct_decoding": .section(DirectDecoding.CodingKeys.self),
      "lora": .section(LowRankAdaptation.CodingKeys.self),
      "distributed": .section(Distribution.CodingKeys.self),
      "model": .section(
        ModelConfiguration.CodingKeys.self,
        [
          "virtual_width": .section(VirtualWidth.CodingKeys.self),
          "multi_token_prediction": .section(ModelConfiguration.MultiTokenPrediction.CodingKeys.self),
          "ngram_memory": .section(ModelConfiguration.NGramMemory.CodingKeys.self),
        ]),
      "initial_values": .section(InitialValues.CodingKeys.self),
      "training": .section(Training.CodingKeys.self),
      "optimizer": .section(
        Optimizer.CodingKeys.self, ["connection_rate": .section(ConnectionRates.CodingKeys.self)]),
      "schedule": .section(Schedule.CodingKeys.self),
      "validation": .section(Validation.CodingKeys.self),
      "checkpoint": .section(Checkpoints.CodingKeys.self),
      "sample": .section(Sample.CodingKeys.self, ["prompt": .text]),
    ])

  private static func apply(_ change: String, to root: inout JSONObject) throws {
    let name = "--set \(printable(change))"
    guard let equals = change.firstIndex(of: "="), equals != change.startIndex else {
      throw InputError("\(name): expected key.path=value")
    }
    let path = change[..<equals].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    let schema = try keys.check(path: path, in: name)
    let text = String(change[change.index(after: equals)...])
    // An empty value is an empty string; null and ~ remove the key.
    let value = try YAMLReader.value(text, name: name, hasLines: false, schema: schema) ?? .string("")
    root[path[...]] = value == .null ? nil : value
  }
}

extension JSONObject {
  /// The value at a path of keys. Setting it inserts objects along the path; nil removes the last key.
  subscript(path: ArraySlice<String>) -> JSONValue? {
    get {
      path.dropFirst().reduce(path.first.flatMap { self[$0] }) { value, key in
        if case .object(let members)? = value { members[key] } else { nil }
      }
    }
    set {
      guard let key = path.first else { return }
      guard path.count > 1 else { return self[key] = newValue }
      var inner = JSONObject()
      if case .object(let members)? = self[key] { inner = members }
      inner[path.dropFirst()] = newValue
      self[key] = .object(inner)
    }
  }
}
