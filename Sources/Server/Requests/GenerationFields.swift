import WidebandCheckedInput
import WidebandDecoding
import WidebandServing
import WidebandStructuredOutput

/// The fields that both completion endpoints have.
struct GenerationFields: Sendable {
  /// The model that the client asks for; any name is accepted.
  let model: String?
  /// Choices of each prompt.
  let choices: Int
  let maximumTokens: Int?
  /// The number of tokens before which neither an end token nor one of `stopTokens` is sampled.
  let minimumTokens: Int
  let sampling: SamplingOverrides
  let seed: UInt64
  let presencePenalty, frequencyPenalty: Double
  let logitBias: [TokenID: Double]
  let stopStrings: [String]
  /// Tokens that end an answer, in addition to the end tokens.
  let stopTokens: [TokenID]
  let ignoresEndTokens: Bool
  let isStreaming, includesUsage: Bool
  /// What an answer has to be; nil for any text.
  let grammar: JSONGrammar?

  init(_ fields: RequestFields) throws {
    try fields.refuse("best_of", "expected n, or 1") { $0.number?.integer != 1 }
    model = try fields.read("model") { node in
      let name = try node.string()
      guard name.utf8.count <= Limit.modelNameBytes else {
        throw node.failure(expected: "at most \(Limit.modelNameBytes) bytes")
      }
      return name
    }
    choices = try fields.integer("n", "a number", in: Limit.choices) ?? 1
    let tokenCounts = try ["max_completion_tokens", "max_tokens"].map {
      try fields.integer($0, "a number of tokens", in: 0...Int(Int32.max))
    }
    maximumTokens = tokenCounts[0] ?? tokenCounts[1]
    minimumTokens = try fields.integer("min_tokens", "a number of tokens", in: 0...Int(Int32.max)) ?? 0
    sampling = try Self.sampling(fields)
    seed = try fields.read("seed", Self.seed) ?? .random(in: 0 ... .max)
    presencePenalty = try fields.number("presence_penalty", in: -2...2) ?? 0
    frequencyPenalty = try fields.number("frequency_penalty", in: -2...2) ?? 0
    logitBias = try fields.read("logit_bias", Self.logitBias) ?? [:]
    stopStrings = try fields.read("stop", Self.stopStrings) ?? []
    stopTokens = try fields.read("stop_token_ids", Self.stopTokens) ?? []
    ignoresEndTokens = try fields.flag("ignore_eos")
    grammar = try fields.read("response_format", ResponseFormat.grammar) ?? nil
    isStreaming = try fields.flag("stream")
    includesUsage = try fields.read("stream_options") { try $0.flag("include_usage", default: false) } ?? false
  }

  private static func sampling(_ fields: RequestFields) throws -> SamplingOverrides {
    var options = SamplingOverrides()
    for option in SamplingOption.allCases {
      let name = option.rawValue
      _ = try fields.read(name) { node in
        var one = SamplingOverrides()
        let number = try option == .topK ? 0 : node.number()
        switch option {
        case .temperature: (one.temperature, options.temperature) = (number, number)
        case .topP: (one.topP, options.topP) = (number, number)
        case .minP: (one.minP, options.minP) = (number, number)
        case .repetitionPenalty: (one.repetitionPenalty, options.repetitionPenalty) = (number, number)
        case .topK:
          let count = try node.integer("a number of tokens", in: -1...Int(Int32.max))
          (one.topK, options.topK) = (count, count)
        }
        try one.applied(to: .init()).validate(naming: \.rawValue)
      }
    }
    return options
  }

  /// Any integer of 64 bits, as other servers accept.
  private static func seed(_ node: JSONNode) throws -> UInt64 {
    guard let number = node.value.number,
      let seed = number.unsigned ?? number.integer.map({ UInt64(bitPattern: Int64($0)) })
    else { throw node.failure(expected: "an integer of 64 bits") }
    return seed
  }

  private static func logitBias(_ node: JSONNode) throws -> [TokenID: Double] {
    var bias: [TokenID: Double] = [:]
    for (key, value) in try node.members() {
      guard let token = TokenID(key), key == "\(token)" else {
        throw value.failure(expected: "the id of a token as its key")
      }
      bias[token] = try value.number(in: -100...100)
    }
    return bias
  }

  private static func stopTokens(_ node: JSONNode) throws -> [TokenID] {
    let nodes = try node.elements()
    guard nodes.count <= Limit.stopTokens else {
      throw InputError(
        "\(node.file): stop_token_ids has \(nodes.count) elements: expected at most \(Limit.stopTokens)")
    }
    return try nodes.map { TokenID(try $0.integer("the id of a token,", in: 0...Int(TokenID.max))) }
  }

  private static func stopStrings(_ node: JSONNode) throws -> [String] {
    let nodes: [JSONNode] = if case .string = node.value { [node] } else { try node.elements() }
    guard nodes.count <= Limit.stopStrings else {
      throw InputError("\(node.file): stop has \(nodes.count) strings: expected at most \(Limit.stopStrings)")
    }
    return try nodes.map { node in
      let text = try node.string()
      guard (1...Limit.stopStringBytes).contains(text.utf8.count) else {
        throw node.failure(expected: "1 to \(Limit.stopStringBytes) bytes")
      }
      return text
    }
  }
}

/// What the fields mean for a prompt.
extension GenerationFields {
  /// The request of one choice.
  ///
  /// - Parameters:
  ///   - choice: the number of the choice: each has a seed of its own.
  ///   - endTokens: the tokens that end an answer.
  ///   - defaultMaximum: the number of tokens if the client names none; nil for the rest of the context.
  func sequence(
    _ prompt: [TokenID], choice: Int, endTokens: Set<TokenID>, defaultMaximum: Int?, on engine: ServingEngine
  ) throws -> SequenceRequest {
    let known = engine.model.knownTokens
    for (name, tokens) in [("logit_bias", Array(logitBias.keys)), ("stop_token_ids", stopTokens)] {
      guard let unknown = tokens.first(where: { !known.contains(Int($0)) }) else { continue }
      throw APIError.invalid(
        "request body: \(name) has token \(unknown): expected the id of a token, \(describe(known))", parameter: name)
    }
    // A prompt that leaves no position for a token is refused as too long.
    let rest = max(1, engine.context - prompt.count)
    let maximum = maximumTokens ?? min(defaultMaximum ?? rest, rest)
    guard minimumTokens <= maximum else {
      throw APIError.invalid(
        "request body: min_tokens is \(minimumTokens): expected at most \(maximum), the maximum of tokens",
        parameter: "min_tokens")
    }
    var request = SequenceRequest(prompt: prompt, maximumTokens: maximum, seed: seed &+ UInt64(choice))
    request.sampling = try engine.model.generation.sampling(sampling)
    request.presencePenalty = presencePenalty
    request.frequencyPenalty = frequencyPenalty
    request.logitBias = logitBias
    request.stopStrings = stopStrings
    request.grammar = grammar
    request.endTokens = (ignoresEndTokens ? [] : endTokens).union(stopTokens)
    request.minimumTokens = minimumTokens
    return request
  }
}
