/// How the next token is chosen from a model's logits.
///
/// The steps are applied in the order of the properties, as Hugging Face transformers does.
public struct SamplingOptions: Hashable, Sendable {
  /// Divides the logits of tokens that occurred already, or multiplies those below zero; 1 changes nothing.
  ///
  /// It counts the prompt as well as what was generated. Source: CTRL, arXiv 1909.05858, section 4.1.
  public var repetitionPenalty = 1.0
  /// Divides all logits; 0 always takes the most probable token, and no later step matters.
  public var temperature = 1.0
  /// Keeps the k largest logits and all equal to the last of them; nil keeps all.
  public var topK: Int?
  /// Keeps the fewest most probable tokens that have this much probability together, and all equal to the last of them; 1
  /// keeps all.
  public var topP = 1.0
  /// Keeps the tokens that have at least this share of the largest probability; 0 keeps all.
  public var minP = 0.0

  /// The model's own distribution.
  public init() {}

  /// Always the most probable token.
  public static var greedy: SamplingOptions {
    var options = SamplingOptions()
    options.temperature = 0
    return options
  }

  /// Fails if an option has a value that means nothing.
  ///
  /// - Throws: `GenerationError` naming the option, its value and what was expected.
  public func validate() throws {
    try require(
      "repetition penalty", repetitionPenalty, repetitionPenalty.isFinite && repetitionPenalty > 0,
      "a finite number greater than 0")
    try require("temperature", temperature, temperature.isFinite && temperature >= 0, "a finite number of at least 0")
    try require("top-k", topK ?? 1, topK ?? 1 >= 1, "at least 1")
    try require("top-p", topP, topP > 0 && topP <= 1, "more than 0 and at most 1")
    try require("min-p", minP, minP >= 0 && minP < 1, "at least 0 and less than 1")
  }

  /// Whether the most probable token is taken; dividing by the smallest temperatures would leave no numbers.
  var isGreedy: Bool { temperature < .leastNormalMagnitude }
}

/// Fails with "name is value: expected …" unless `isValid`.
func require(_ name: String, _ value: some CustomStringConvertible, _ isValid: Bool, _ expected: String) throws {
  guard isValid else { throw GenerationError("\(name) is \(value): expected \(expected)") }
}
