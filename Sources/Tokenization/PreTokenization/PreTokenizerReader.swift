import WidebandCheckedInput

/// Reads the `pre_tokenizer` of a tokenizer file.
enum PreTokenizerReader {
  /// - Parameter root: the whole file.
  static func read(_ root: JSONNode) throws -> PreTokenizer {
    let node = try root.required("pre_tokenizer")
    var steps: [PreTokenizer.Step] = []
    var isByteLevel = false
    try read(node, into: &steps, &isByteLevel)
    guard isByteLevel else {
      throw TokenizationError.malformed(
        "\(node.file): pre_tokenizer has no ByteLevel step, so the model is not byte-level")
    }
    return PreTokenizer(steps: steps)
  }

  private static func read(
    _ node: JSONNode, into steps: inout [PreTokenizer.Step], _ isByteLevel: inout Bool
  ) throws {
    guard !isByteLevel else {
      throw TokenizationError.malformed(
        "\(node.file): \(node.path) comes after the ByteLevel step: expected ByteLevel to be last")
    }
    let type = try node.required("type")
    switch try type.string() {
    case "Sequence":
      for step in try node.required("pretokenizers").elements() { try read(step, into: &steps, &isByteLevel) }
    case "Split": steps.append(try readSplit(node))
    case "Digits":
      let isIndividual = try node.flag("individual_digits", default: false)
      let digit = try compile("\\p{N}", isLiteral: false, node)
      steps.append(.split(digit, isIndividual ? .isolated : .contiguous, isInverted: false))
    case "ByteLevel":
      isByteLevel = true
      if try node.flag("add_prefix_space", default: false) { steps.append(.prefixSpace) }
      if try node.flag("use_regex", default: true) {
        let pattern = try compile(PreTokenizer.gpt2Pattern, isLiteral: false, node)
        steps.append(.split(pattern, .isolated, isInverted: false))
      }
    default: throw type.failure(expected: "'ByteLevel', 'Split', 'Digits' or 'Sequence'")
    }
  }

  private static func readSplit(_ node: JSONNode) throws -> PreTokenizer.Step {
    let behaviorNode = try node.required("behavior")
    guard let behavior = PreTokenizer.Behavior(rawValue: try behaviorNode.string()) else {
      let names = PreTokenizer.Behavior.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ")
      throw behaviorNode.failure(expected: "one of \(names)")
    }
    let isInverted = try node.flag("invert", default: false)
    let pattern = try node.required("pattern")
    if let regex = try pattern.member("Regex") {
      return .split(try compile(try regex.string(), isLiteral: false, regex), behavior, isInverted: isInverted)
    }
    let literal = try pattern.required("String")
    return .split(try compile(try literal.string(), isLiteral: true, literal), behavior, isInverted: isInverted)
  }

  private static func compile(_ source: String, isLiteral: Bool, _ node: JSONNode) throws -> Pattern {
    do {
      return try Pattern(source, isLiteral: isLiteral)
    } catch let error as TokenizationError {
      throw TokenizationError.malformed("\(node.file): \(node.path) \(quoted(source)) \(error.description)")
    }
  }
}
