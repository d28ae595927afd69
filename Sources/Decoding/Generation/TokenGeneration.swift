import WidebandCheckedInput
import WidebandLanguageModel
import WidebandTorch

extension LanguageModel {
  /// Continues a prompt of token ids without a tokenizer, until a length in `options` is reached.
  ///
  /// - Throws: `GenerationError` for invalid options and for a prompt that the model cannot process.
  package func generate(_ prompt: [TokenID], options: GenerationOptions) throws -> GenerationResult {
    try TokenGeneration(model: self, options: options).run(prompt: prompt)
  }
}

/// The generation loop: one iterator's tokens, until there is a reason to finish.
struct TokenGeneration {
  let model: LanguageModel
  let options: GenerationOptions
  /// Tokens that end a text.
  var endOfText: Set<TokenID> = []
  /// Tokens that may be sampled; nil for the whole vocabulary.
  var allowedTokens: AllowedTokens?

  /// Continues a prompt of at least one token.
  ///
  /// - Parameters:
  ///   - iterator: an iterator of these options to continue; nil for a new one.
  ///   - check: called before every pass; an error that it throws ends the generation.
  ///   - accept: called with each token; a reason to finish ends the generation after it.
  /// - Throws: `GenerationError` for invalid options and for a prompt with a token outside the vocabulary or as long as
  ///   the model's context; what `check` and `accept` throw.
  func run(
    prompt: [TokenID], with iterator: (any TokenIterator)? = nil, check: () throws -> Void = {},
    accept: (TokenID) throws -> GenerationResult.FinishReason? = { _ in nil }
  ) throws -> GenerationResult {
    try options.validate()
    try requireContext(after: prompt)
    let seed = options.seed ?? .random(in: 0 ... .max)
    let sampler = try Sampler(options.sampling, seed: seed)
    let iterator = try iterator ?? makeIterator(capacity: maximumLength(of: prompt))
    var result = GenerationResult(seed: seed)
    result.promptTokenCount = prompt.count

    let clock = ContinuousClock()
    let start = clock.now
    var firstToken: ContinuousClock.Instant?
    var tokens = try iterator.begin(prompt, sampler: sampler, check: check)
    result.reusedTokenCount = iterator.reusedTokenCount
    generation: while true {
      for token in tokens {
        if firstToken == nil { firstToken = clock.now } else { result.decodedTokenCount += 1 }
        if let reason = try append(token, to: &result, accept) {
          result.finishReason = reason
          break generation
        }
      }
      try check()
      tokens = try iterator.next()
    }
    result.drafts = iterator.drafts
    result.prefillSeconds = (firstToken ?? start).seconds(since: start)
    result.decodingSeconds = clock.now.seconds(since: firstToken ?? start)
    return result
  }

  /// An iterator over tokens of the model, as the options say.
  ///
  /// - Parameter capacity: positions that caches allocate at first.
  func makeIterator(capacity: Int = 64) throws -> any TokenIterator {
    guard let method = options.draftMethod else {
      return SingleTokenIterator(try makeSession(capacity: capacity), allowedTokens: allowedTokens)
    }
    let drafter = try method.drafter(
      for: model, cycle: options.cycle, cacheFormat: options.cacheFormat, capacity: capacity)
    return SpeculativeTokenIterator(
      drafter, allowedTokens: allowedTokens, contextLength: model.configuration.contextLength)
  }

  /// An empty session of the model, as the options say.
  func makeSession(capacity: Int) throws -> DecodingSession {
    try DecodingSession(
      model, cycle: options.cycle, usesCache: options.usesCache, cacheFormat: options.cacheFormat, capacity: capacity)
  }

  /// Refuses a prompt that fills the model's context.
  func requireContext(after prompt: [TokenID]) throws {
    let contextLength = model.configuration.contextLength
    guard prompt.count < contextLength else {
      throw GenerationError.promptTooLong(tokenCount: prompt.count, contextLength: contextLength)
    }
  }

  /// Maximum tokens of a prompt and its continuation, for which memory is allocated at once.
  func maximumLength(of prompt: [TokenID]) -> Int {
    prompt.count + min(options.maximumTokens, model.configuration.contextLength)
  }

  /// Appends a token to the result; returns the reason to finish with it, if there is one.
  func append(
    _ token: TokenID, to result: inout GenerationResult, _ accept: (TokenID) throws -> GenerationResult.FinishReason?
  ) throws -> GenerationResult.FinishReason? {
    if endOfText.contains(token) { return .endOfText }
    result.tokens.append(token)
    if let reason = try accept(token) { return reason }
    if result.tokens.count >= options.maximumTokens { return .maximumTokens }
    let limit = model.configuration.contextLength - result.promptTokenCount
    return result.tokens.count >= limit ? .contextLength : nil
  }
}

extension ContinuousClock.Instant {
  /// Seconds that passed since an earlier instant.
  package func seconds(since start: ContinuousClock.Instant) -> Double { (self - start) / .seconds(1) }
}
