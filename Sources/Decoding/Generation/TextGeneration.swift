import WidebandCheckedInput
import WidebandTokenization

/// Text generation.
///
///     let model = try LoadedModel(folder)
///     try model.generate("In the beginning") { print($0, terminator: "") }
///
/// Text comes in pieces that never end inside a character, as soon as it is certain that they are no part of a stop
/// string. It has no special tokens.
extension LoadedModel {
  /// The tokens of a prompt: the tokenizer's start of a text, then the text, in which special tokens are recognized.
  public func promptTokens(_ text: String) throws -> [TokenID] {
    try tokenizer.encode(text, addingSpecialTokens: true)
  }

  /// Continues a text, calling `onText` with each piece as it comes.
  ///
  /// - Throws: as the form that takes tokens; `TokenizationError` for a text that cannot be encoded.
  @discardableResult
  public func generate(
    _ prompt: String, options: GenerationOptions = .init(), onText: (String) throws -> Void = { _ in }
  ) throws -> GenerationResult {
    try generate(promptTokens(prompt), options: options, onText: onText)
  }

  /// Continues tokens, calling `onText` with each piece of text as it comes. An empty prompt starts a new text.
  ///
  /// - Throws: `GenerationError` for invalid options, a token outside the vocabulary, a prompt as long as the model's
  ///   context, an empty prompt where the tokenizer has no token to start a text; what `onText` throws, which ends the
  ///   generation.
  @discardableResult
  public func generate(
    _ prompt: [TokenID], options: GenerationOptions = .init(), onText: (String) throws -> Void = { _ in }
  ) throws -> GenerationResult {
    try generate(prompt, options: options, check: {}, onText: onText)
  }

  /// - Parameters:
  ///   - iterator: an iterator of these options to continue; nil for a new one.
  ///   - ends: tokens that end the text, in addition to the model's own.
  func generate(
    _ prompt: [TokenID], options: GenerationOptions, with iterator: (any TokenIterator)? = nil,
    endingAt ends: [TokenID] = [],
    check: () throws -> Void, onText: (String) throws -> Void
  ) throws -> GenerationResult {
    var writer = try TextWriter(tokenizer, options.stopStrings)
    let generation = try generation(options, endingAt: ends)
    var result = try generation.run(prompt: try startingText(prompt), with: iterator, check: check) {
      try writer.append($0, onText)
    }
    try writer.finish(&result, onText)
    return result
  }

  /// Continues several prompts as a batch, up to 16 at a time, which reads every weight once for a token of each; a
  /// further one begins when another has ended. Each has the continuation that it would have alone, prompt i with the
  /// options' seed plus i.
  ///
  /// - Parameters:
  ///   - seedOffsets: what is added to the seed for each prompt instead of its index.
  ///   - onResult: called with the index of each prompt whose continuation has ended, in the order in which they end.
  /// - Returns: the prompts' results, in their order.
  /// - Throws: as the form for one prompt, before anything is computed if it is for a prompt; `GenerationError` for
  ///   drafts.
  @discardableResult
  public func generate(
    batch prompts: [[TokenID]], options: GenerationOptions = .init(), seedOffsets: [Int]? = nil,
    onResult: (Int, GenerationResult) throws -> Void = { _, _ in }
  ) throws -> [GenerationResult] {
    var writers = try prompts.map { _ in try TextWriter(tokenizer, options.stopStrings) }
    var results: [GenerationResult?] = prompts.map { _ in nil }
    try BatchGeneration(generation: try generation(options)).run(
      startingTexts(prompts), seedOffsets: seedOffsets, check: {}, accept: { try writers[$0].append($1) { _ in } }
    ) { index, result in
      var result = result
      try writers[index].finish(&result) { _ in }
      results[index] = result
      try onResult(index, result)
    }
    return results.compactMap(\.self)
  }

  private func generation(_ options: GenerationOptions, endingAt ends: [TokenID] = []) throws -> TokenGeneration {
    try generation.requireEndOfText()
    return TokenGeneration(
      model: model, options: options, endOfText: Set(endOfTextTokens + ends), allowedTokens: allowedTokens)
  }

  private func startingTexts(_ prompts: [[TokenID]]) throws -> [[TokenID]] {
    try prompts.enumerated().map { index, prompt in
      do { return try startingText(prompt) } catch let error as GenerationError {
        throw GenerationError.sequence(index, count: prompts.count, error)
      }
    }
  }

  private func startingText(_ prompt: [TokenID]) throws -> [TokenID] {
    guard prompt.isEmpty else { return prompt }
    guard let start = startToken else {
      throw GenerationError.emptyInput(
        "the prompt is empty: expected text, as the tokenizer has no token to start one from")
    }
    return [start]
  }
}

/// Decodes tokens to text, up to the first stop string.
private struct TextWriter {
  private var decoder: StreamDecoder
  private var stops: StopStrings
  private var text = ""

  init(_ tokenizer: Tokenizer, _ stopStrings: [String]) throws {
    decoder = StreamDecoder(tokenizer, skipSpecialTokens: true)
    stops = try StopStrings(stopStrings)
  }

  /// Appends a token, passes on the text that is certain, and returns the reason to finish if a stop string is complete.
  mutating func append(
    _ token: TokenID, _ onText: (String) throws -> Void
  ) throws -> GenerationResult.FinishReason? {
    let (piece, stop) = stops.append(try decoder.append(token))
    try pass(piece, onText)
    return stop.map { .stopString($0) }
  }

  /// Passes on the text that was held back, and stores all text in the result.
  mutating func finish(_ result: inout GenerationResult, _ onText: (String) throws -> Void) throws {
    if case .stopString = result.finishReason {
    } else {
      let (piece, stop) = stops.append(decoder.finish())
      try pass(piece, onText)
      if let stop { result.finishReason = .stopString(stop) } else { try pass(stops.finish(), onText) }
    }
    result.text = text
  }

  private mutating func pass(_ piece: String, _ onText: (String) throws -> Void) throws {
    guard !piece.isEmpty else { return }
    text += piece
    try onText(piece)
  }
}
