import LanguageModel
import Torch

/// The loop at the bottom of all generation: logits, choice, next token.
struct TokenGeneration {
  let model: LanguageModel
  let options: GenerationOptions
  /// Tokens that end a text.
  var endOfText: Set<Int> = []
  /// Tokens that may be chosen; nil for the whole vocabulary.
  var choices: AllowedTokens?

  /// Continues a prompt of at least one token.
  ///
  /// - Parameters:
  ///   - session: a text of this model to continue. What it has in common with the prompt is not computed again, and
  ///     what it has beyond that is forgotten.
  ///   - check: called before every pass; what it throws ends the generation.
  ///   - accept: called with each token; a reason to finish ends the generation after it.
  /// - Throws: `GenerationError` for options that mean nothing and for a prompt with a token outside the vocabulary or
  ///   as long as the model's context; what `check` and `accept` throw.
  func run(
    prompt: [Int], in session: (any GrowingText)? = nil, check: () throws -> Void = {},
    accept: (Int) throws -> GenerationResult.FinishReason? = { _ in nil }
  ) throws -> GenerationResult {
    try options.validate()
    try requireRoom(behind: prompt)
    let seed = options.seed ?? .random(in: 0 ... .max)
    let sampler = try Sampler(options.sampling, seed: seed)
    let source = try source(sampler, session, expecting: expectedLength(behind: prompt))
    var result = GenerationResult(seed: seed)
    result.promptTokenCount = prompt.count

    let clock = ContinuousClock()
    let start = clock.now
    var firstChoice: ContinuousClock.Instant?
    var chosen = try source.begin(prompt, check: check)
    result.reusedTokenCount = source.reusedTokenCount
    generation: while true {
      for token in chosen {
        if firstChoice == nil { firstChoice = clock.now } else { result.decodedTokenCount += 1 }
        if let reason = try finish(token, &result, accept) {
          result.finishReason = reason
          break generation
        }
      }
      try check()
      chosen = try source.proceed()
    }
    result.drafts = source.drafts
    result.prefillSeconds = (firstChoice ?? start).seconds(since: start)
    result.decodingSeconds = clock.now.seconds(since: firstChoice ?? start)
    return result
  }

  /// - Parameter length: tokens that the text will have at most, for which memory is taken at once.
  private func source(
    _ sampler: Sampler, _ session: (any GrowingText)?, expecting length: Int
  ) throws -> any TokenSource {
    if let drafter = options.drafter {
      let text: any DraftingText =
        switch drafter {
        case .prediction: try PredictionDrafting(model, keyValueForm: options.keyValueForm, capacity: length)
        case .direct:
          try DirectDrafting(model, cycle: options.cycle, keyValueForm: options.keyValueForm, capacity: length)
        }
      return DraftedTokens(
        text, sampler, choices: choices, contextLength: model.configuration.contextLength)
    }
    return try SingleTokens(session ?? options.emptyText(of: model, expecting: length), sampler, choices: choices)
  }

  /// Refuses a prompt that leaves no room in the model's context.
  func requireRoom(behind prompt: [Int]) throws {
    let limit = model.configuration.contextLength
    guard prompt.count < limit else {
      throw GenerationError(
        "the prompt has \(prompt.count) tokens: expected at most \(limit - 1), "
          + "as the model's context holds \(limit) (max_position_embeddings)")
    }
  }

  /// Tokens that a text will have at most, for which memory is taken at once.
  func expectedLength(behind prompt: [Int]) -> Int {
    prompt.count + min(options.maximumTokens, model.configuration.contextLength)
  }

  /// Takes a token into the result; gives the reason to finish with it, if there is one.
  func finish(
    _ token: Int, _ result: inout GenerationResult, _ accept: (Int) throws -> GenerationResult.FinishReason?
  ) throws -> GenerationResult.FinishReason? {
    if endOfText.contains(token) { return .endOfText }
    result.tokens.append(token)
    if let reason = try accept(token) { return reason }
    if result.tokens.count >= options.maximumTokens { return .maximumTokens }
    let room = model.configuration.contextLength - result.promptTokenCount
    return result.tokens.count >= room ? .contextLength : nil
  }
}

/// A text that a model reads and continues, however it computes.
protocol GrowingText: AnyObject {
  /// All tokens so far.
  var tokens: [Int] { get }
  /// Adds a prompt and gives the logits `[V]` of the token that follows it.
  func read(_ prompt: [Int], check: () throws -> Void) throws -> Tensor
  /// Adds a generated token and gives the logits `[V]` of the token that follows it.
  func append(_ token: Int) throws -> Tensor
  /// Forgets all tokens from `count` on.
  func truncate(to count: Int)
}

extension GenerationOptions {
  /// A text of a model, computed as these options say, with memory for some tokens.
  func emptyText(of model: LanguageModel, expecting length: Int = 64) throws -> any GrowingText {
    try cycle.map { try directText(of: model, cycle: $0, expecting: length) }
      ?? ordinaryText(of: model, expecting: length)
  }

  func ordinaryText(of model: LanguageModel, expecting length: Int) -> DecodingSession {
    DecodingSession(model, usesCache: usesCache, keyValueForm: keyValueForm, capacity: length)
  }

  func directText(of model: LanguageModel, cycle: Int, expecting length: Int) throws -> DirectDecodingSession {
    try DirectDecodingSession(
      model, cycle: cycle, usesCache: usesCache, keyValueForm: keyValueForm, capacity: length)
  }
}

extension DirectDecodingSession: GrowingText {}

extension DecodingSession: GrowingText {
  func read(_ prompt: [Int], check: () throws -> Void) throws -> Tensor { try append(prompt, check: check) }
  func append(_ token: Int) throws -> Tensor { try append([token]) }
}

extension ContinuousClock.Instant {
  /// Seconds that passed since an earlier instant.
  func seconds(since start: ContinuousClock.Instant) -> Double { (self - start) / .seconds(1) }
}
