/// How the next token is sampled from a model's logits.
///
/// The steps are applied in the order of the properties, as Hugging Face transformers does.
public struct SamplingOptions: Hashable, Sendable {
  /// Divides the positive logits of tokens that the sequence contains, and multiplies the negative ones; 1 changes
  /// nothing.
  ///
  /// Tokens of the prompt count as well as generated ones. Source: CTRL, arXiv 1909.05858, section 4.1.
  public var repetitionPenalty = 1.0
  /// Divides all logits; 0 always takes the most probable token, and no later step matters.
  public var temperature = 1.0
  /// Keeps the k largest logits and all equal to the smallest of them; nil, 0 and -1 keep all.
  public var topK: Int?
  /// Keeps the smallest set of most probable tokens that have this much probability together, and all equal to the last
  /// of them; 1 keeps all, 0 the most probable one.
  public var topP = 1.0
  /// Keeps the tokens that have at least this share of the largest probability; 0 keeps all, 1 the most probable one.
  public var minP = 0.0

  /// The model's own distribution.
  public init() {}

  /// Always the most probable token.
  public static var greedy: SamplingOptions {
    var options = SamplingOptions()
    options.temperature = 0
    return options
  }

  /// Checks that all options are valid.
  ///
  /// - Parameter name: an option's name in the error.
  /// - Throws: `GenerationError` naming the option, its value and what was expected.
  public func validate(naming name: (SamplingOption) -> String = \.name) throws {
    for option in SamplingOption.allCases {
      if let fault = fault(of: option) { throw GenerationError.invalidOption("\(name(option)) \(fault)") }
    }
  }

  /// The error in an option's value, as in "is 2.0: expected from 0 to 1"; nil for a valid value.
  func fault(of option: SamplingOption) -> String? {
    func check(_ value: Double, in range: ClosedRange<Double>, _ expected: String) -> String? {
      range.contains(value) ? nil : "is \(value): expected \(expected)"
    }
    switch option {
    case .repetitionPenalty: return check(repetitionPenalty, in: 0.001...1000, "from 0.001 to 1000")
    case .temperature:
      return check(temperature, in: 0...Double.greatestFiniteMagnitude, "a finite number of at least 0")
    case .topK:
      return topK.flatMap { $0 >= -1 ? nil : "is \($0): expected at least 1, or 0 or -1 to keep all tokens" }
    case .topP: return check(topP, in: 0...1, "from 0 to 1")
    case .minP: return check(minP, in: 0...1, "from 0 to 1")
    }
  }

  /// Whether the most probable token is taken; a division by subnormal temperatures would overflow.
  var isGreedy: Bool { temperature < .leastNormalMagnitude }

  /// `topK` where it is a limit.
  var effectiveTopK: Int? { topK.flatMap { $0 >= 1 ? $0 : nil } }

  /// `topP`, or a share so small that the most probable token alone has it.
  var effectiveTopP: Double { max(topP, 1e-300) }
}

/// One of the options of `SamplingOptions`.
public enum SamplingOption: String, CaseIterable, Sendable {
  case repetitionPenalty = "repetition_penalty"
  case temperature
  case topK = "top_k"
  case topP = "top_p"
  case minP = "min_p"

  /// The option in words: "top-k".
  public var name: String {
    switch self {
    case .repetitionPenalty: "repetition penalty"
    case .temperature: "temperature"
    case .topK: "top-k"
    case .topP: "top-p"
    case .minP: "min-p"
    }
  }

  /// The option as a flag: "--top-k".
  public var flag: String { "--" + rawValue.map { $0 == "_" ? "-" : String($0) }.joined() }
}

/// Options that replace those of a model; nil for the model's.
public struct SamplingOverrides: Hashable, Sendable {
  /// As in `SamplingOptions`.
  public var repetitionPenalty: Double?
  /// As in `SamplingOptions`; it also decides whether sampling is greedy.
  public var temperature: Double?
  /// As in `SamplingOptions`.
  public var topK: Int?
  /// As in `SamplingOptions`.
  public var topP: Double?
  /// As in `SamplingOptions`.
  public var minP: Double?

  /// The model's own options.
  public init() {}

  /// These options, and those of `defaults` where they are nil.
  public func applied(to defaults: SamplingOptions) -> SamplingOptions {
    var options = defaults
    options.repetitionPenalty = repetitionPenalty ?? options.repetitionPenalty
    options.temperature = temperature ?? options.temperature
    options.topK = topK ?? options.topK
    options.topP = topP ?? options.topP
    options.minP = minP ?? options.minP
    return options
  }

  /// Whether an option is replaced.
  func has(_ option: SamplingOption) -> Bool {
    switch option {
    case .repetitionPenalty: repetitionPenalty != nil
    case .temperature: temperature != nil
    case .topK: topK != nil
    case .topP: topP != nil
    case .minP: minP != nil
    }
  }
}
