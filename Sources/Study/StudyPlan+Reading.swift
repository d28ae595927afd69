import Foundation
import WidebandCheckedInput
import WidebandTraining

extension StudyPlan {
  private static let schema = RecipeSchema.section(
    Keys.self,
    [
      "question": .text, "cost": .text, "recipe": .text, "baseline": .text,
      "arms": .entries(.section(ArmKeys.self, ["recipe": .text, "from": .text])),
      "fit": .section(FitKeys.self),
    ])

  private enum Keys: String, CodingKey, CaseIterable {
    case question, cost, recipe, set, seeds, baseline, arms, comparisons, fit
    case learningRates = "learning_rates"
  }

  private enum ArmKeys: String, CodingKey, CaseIterable {
    case recipe, set, seeds, from, cycles
    case learningRates = "learning_rates"
  }

  private enum FitKeys: String, CodingKey, CaseIterable { case arms }

  /// How many arms, seeds or learning rates a plan may have.
  private static let counts = 1...1000

  /// Reads the plan in a file. Paths of recipes are relative to the file's folder.
  ///
  /// - Throws: `InputError` for a file that cannot be read, malformed YAML, an unknown key (with the nearest known one),
  ///   a value of the wrong type or out of bounds, and values that contradict each other.
  public init(contentsOf file: String) throws {
    try self.init(
      yaml: Recipe.text(of: file), name: file, folder: fileURL(file).deletingLastPathComponent().relativePath)
  }

  /// Reads a plan.
  ///
  /// - Parameters:
  ///   - text: the plan as YAML.
  ///   - name: the name of the text in errors, such as its path.
  ///   - folder: the folder that paths of recipes are relative to.
  /// - Throws: as ``init(contentsOf:)``.
  public init(yaml text: String, name: String, folder: String) throws {
    let name = printable(name)
    let value = try YAMLReader.value(text, name: name, schema: Self.schema) ?? .object(JSONObject())
    guard case .object = value else {
      throw InputError("\(name): is \(value.summary): expected a mapping of keys to values")
    }
    try Self.schema.check(value, in: name)
    let root = JSONNode(value, file: name)
    self.name = name
    question = try root.required("question").string()
    cost = try root.member("cost")?.string()
    baseline = try root.required("baseline").string()
    let common = Common(
      recipe: try root.member("recipe")?.string(), changes: try Self.changes(root.member("set")),
      learningRates: try Self.learningRates(root), seeds: try Self.seeds(root), folder: folder)
    arms = try root.required("arms").members().map { try Self.arm($0.key, $0.node, common) }
    guard Self.counts.contains(arms.count) else {
      throw InputError("\(name): arms has \(arms.count): expected \(describe(Self.counts))")
    }
    let names = arms.map(\.name)
    func known(_ node: JSONNode) throws -> String {
      let arm = try node.string()
      guard names.contains(arm) else { throw node.failure(expected: "the name of an arm") }
      return arm
    }
    _ = try known(root.required("baseline"))
    comparisons =
      try root.member("comparisons")?.elements().map { pair in
        let pairNames = try pair.elements()
        guard pairNames.count == 2 else { throw pair.failure(expected: "two arms, as in [wide, plain]") }
        return Comparison(arm: try known(pairNames[0]), reference: try known(pairNames[1]))
      } ?? []
    fit = try root.member("fit")?.required("arms").elements().map(known) ?? []
    try requireStarts(root)
  }

  /// What arms have unless they say otherwise.
  private struct Common {
    let recipe: String?
    let changes: [(key: String, text: String)]
    let learningRates: [Double]?
    let seeds: [UInt64]?
    let folder: String
  }

  private static func arm(_ name: String, _ node: JSONNode, _ common: Common) throws -> Arm {
    guard name.wholeMatch(of: /[A-Za-z0-9_][A-Za-z0-9._-]{0,99}/) != nil else {
      throw InputError(
        "\(node.file): arms has \(quoted(name)): expected a name of at most 100 letters, digits, '-', '_' and '.'")
    }
    // Nothing after the name is an arm without changes.
    let node = node.value == .null ? JSONNode(value: .object(JSONObject()), path: node.path, file: node.file) : node
    guard let recipe = try node.member("recipe")?.string() ?? common.recipe else {
      throw InputError("\(node.file): \(node.path).recipe is missing, and so is recipe: expected one of them")
    }
    guard let seeds = try seeds(node) ?? common.seeds else {
      throw InputError("\(node.file): \(node.path).seeds is missing, and so is seeds: expected one of them")
    }
    let changes = common.changes + (try changes(node.member("set")))
    let rates = try learningRates(node) ?? common.learningRates
    let start = try node.member("from")?.string()
    for (key, _) in changes {
      let instead =
        switch key {
        case "training.seed": "the key seeds"
        case "optimizer.learning_rate" where rates != nil: "the key learning_rates alone"
        case "from" where start != nil: "the key from of the arm alone"
        default: ""
        }
      guard instead.isEmpty else {
        throw InputError("\(node.file): \(node.path) changes \(key) with set: expected \(instead)")
      }
    }
    return Arm(
      name: name, recipe: recipe.hasPrefix("/") || common.folder.isEmpty ? recipe : "\(common.folder)/\(recipe)",
      changes: changes.map { "\($0.key)=\($0.text)" }, learningRates: rates, seeds: seeds, start: start,
      cycles: try node.member("cycles").map { try list($0) { try $0.integer("a length", in: Limits.cycle) } } ?? [])
  }

  // MARK: Values

  private static func seeds(_ node: JSONNode) throws -> [UInt64]? {
    try node.member("seeds").map { list in
      try Self.list(list) { seed in
        guard let number = seed.value.number?.unsigned else {
          throw seed.failure(expected: "an integer from 0 to \(UInt64.max)")
        }
        return number
      }
    }
  }

  private static func learningRates(_ node: JSONNode) throws -> [Double]? {
    try node.member("learning_rates").map { list in try Self.list(list) { try $0.number(in: Limits.positiveFloats) } }
  }

  /// A list of different values.
  private static func list<Value: Hashable>(_ node: JSONNode, _ value: (JSONNode) throws -> Value) throws -> [Value] {
    let elements = try node.elements()
    guard counts.contains(elements.count) else {
      throw InputError("\(node.file): \(node.path) has \(elements.count) values: expected \(describe(counts))")
    }
    var values: [Value] = []
    for element in elements {
      let next = try value(element)
      guard !values.contains(next) else { throw element.failure(expected: "each value once") }
      values.append(next)
    }
    return values
  }

  /// The changes of `set`, whose keys are those of recipes. They are checked when the recipe is read.
  private static func changes(_ node: JSONNode?) throws -> [(key: String, text: String)] {
    try node?.members().map { ($0.key, text(of: $0.node.value)) } ?? []
  }

  /// A value as YAML on one line: JSON, which is YAML but for numbers that are not finite.
  private static func text(of value: JSONValue) -> String {
    guard case .number(let number) = value, number.double == nil else { return value.text() }
    return ["Infinity": ".inf", "-Infinity": "-.inf", "NaN": ".nan"][number.text] ?? number.text
  }

  // MARK: Starts

  private func requireStarts(_ root: JSONNode) throws {
    for arm in arms {
      let path = "\(name): arms.\(arm.name)"
      guard let start = arm.start else {
        guard arm.cycles.isEmpty else {
          throw InputError("\(path).cycles is given without from: expected the arm that is tuned")
        }
        continue
      }
      guard let parent = self.arm(start) else {
        throw InputError("\(path).from is \(quoted(start)): expected the name of an arm")
      }
      guard depth(of: arm.name) <= arms.count else {
        throw InputError("\(path).from is \(quoted(start)): expected an arm that does not start from this one")
      }
      if let seed = arm.seeds.first(where: { !parent.seeds.contains($0) }) {
        throw InputError("\(path).seeds has \(seed): expected seeds of \(start), from which its runs start")
      }
    }
  }
}
