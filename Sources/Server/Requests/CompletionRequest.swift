import WidebandCheckedInput
import WidebandDecoding

/// The body of `POST /v1/completions`.
struct CompletionRequest: Sendable {
  let generation: GenerationFields
  /// The prompts, each of at least one token.
  let prompts: [[TokenID]]
  /// Whether the answer begins with the prompt.
  let echoes: Bool
  /// The number of most probable tokens to report; nil for no log-probabilities.
  let logprobCount: Int?

  /// OpenAI's limit for clients that name none.
  static let defaultMaximumTokens = 16

  init(_ fields: RequestFields, for model: LoadedModel) throws {
    generation = try GenerationFields(fields)
    try fields.refuse("suffix", "expected the beginning of a text as the prompt")
    prompts = try fields.required("prompt") { try Self.prompts($0, model) }
    echoes = try fields.flag("echo")
    logprobCount = try fields.integer("logprobs", "a number", in: Limit.logprobs)
    guard prompts.count * generation.choices <= Limit.sequences else {
      throw APIError.invalid(
        "request body: prompt has \(prompts.count) elements and n is \(generation.choices): expected at most "
          + "\(Limit.sequences) choices in all", parameter: "prompt")
    }
  }

  /// A text, token ids, or a list of either.
  private static func prompts(_ node: JSONNode, _ model: LoadedModel) throws -> [[TokenID]] {
    if case .string(let text) = node.value { return [try model.promptTokens(text)] }
    let elements = try node.elements()
    guard let first = elements.first else { throw node.failure(expected: "a text, or at least one token") }
    switch first.value {
    case .number: return [try node.tokens(of: model)]
    case .array:
      return try elements.map { element in
        let tokens = try element.tokens(of: model)
        guard !tokens.isEmpty else { throw element.failure(expected: "at least one token") }
        return tokens
      }
    case .string: return try elements.map { try model.promptTokens($0.string()) }
    default: throw first.failure(expected: "a text, a token id or a list of token ids")
    }
  }
}

extension LoadedModel {
  /// The ids of the tokens that have a text: a model may have more.
  var knownTokens: ClosedRange<Int> {
    0...max(1, min(tokenizer.vocabularySize, model.configuration.vocabularySize)) - 1
  }
}

extension JSONNode {
  /// A list of the ids of tokens.
  func tokens(of model: LoadedModel) throws -> [TokenID] {
    try elements().map { TokenID(try $0.integer("the id of a token,", in: model.knownTokens)) }
  }
}
