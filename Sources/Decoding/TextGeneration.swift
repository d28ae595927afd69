import Tokenization

/// Text that a loaded model writes.
///
///     let model = try LoadedModel(folder)
///     try model.generate("In the beginning") { print($0, terminator: "") }
///
/// Text is given out in pieces that never end inside a character, as soon as it is certain that they are no part of a
/// stop string; special tokens are left out of it.
extension LoadedModel {
  /// The tokens of a prompt: the tokenizer's own start of a text, then the text with its special tokens recognised.
  public func promptTokens(_ text: String) throws -> [Int] {
    try tokenizer.encode(text, addingSpecialTokens: true).map(Int.init)
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
  /// - Throws: `GenerationError` for options that mean nothing, a token outside the vocabulary, a prompt as long as
  ///   the model's context, an empty prompt where nothing starts a text; what `onText` throws, which ends the
  ///   generation.
  @discardableResult
  public func generate(
    _ prompt: [Int], options: GenerationOptions = .init(), onText: (String) throws -> Void = { _ in }
  ) throws -> GenerationResult {
    try generate(prompt, options: options, check: {}, onText: onText)
  }

  /// - Parameters:
  ///   - session: a text that is changed into the prompt, as far as it differs, and then continued; nil for a new one.
  ///   - ends: tokens that end the text, besides the model's own.
  func generate(
    _ prompt: [Int], options: GenerationOptions, in session: (any GrowingText)? = nil, endingAt ends: [Int] = [],
    check: () throws -> Void, onText: (String) throws -> Void
  ) throws -> GenerationResult {
    var writer = try TextWriter(tokenizer, options.stopStrings)
    let generation = try generation(options, endingAt: ends)
    var result = try generation.run(prompt: try startingText(prompt), in: session, check: check) {
      try writer.append($0, onText)
    }
    try writer.finish(&result, onText)
    return result
  }

  /// Continues several texts together, up to 16 at a time, which reads every weight once for a token of each; a further one
  /// begins where one has ended. Each is the text that it would be alone, text i from the seed of the options plus i.
  ///
  /// - Parameters:
  ///   - numbers: what is added to the seed for each prompt in place of its place.
  ///   - onResult: called with the place of each text that has ended, in the order in which they end.
  /// - Returns: what became of the prompts, in their order.
  /// - Throws: as the form for one text, before anything is computed if it is for a prompt; `GenerationError` for drafts.
  @discardableResult
  public func generate(
    batch prompts: [[Int]], options: GenerationOptions = .init(), numbers: [Int]? = nil,
    onResult: (Int, GenerationResult) throws -> Void = { _, _ in }
  ) throws -> [GenerationResult] {
    var writers = try prompts.map { _ in try TextWriter(tokenizer, options.stopStrings) }
    var results: [GenerationResult?] = prompts.map { _ in nil }
    try BatchGeneration(generation: try generation(options)).run(
      startingTexts(prompts), numbers: numbers, check: {}, accept: { try writers[$0].append($1) { _ in } }
    ) { index, result in
      var result = result
      try writers[index].finish(&result) { _ in }
      results[index] = result
      try onResult(index, result)
    }
    return results.compactMap(\.self)
  }

  private func generation(_ options: GenerationOptions, endingAt ends: [Int] = []) throws -> TokenGeneration {
    try generation.requireEndOfText()
    return TokenGeneration(
      model: model, options: options, endOfText: Set(endOfTextTokens + ends), choices: allowedTokens)
  }

  private func startingTexts(_ prompts: [[Int]]) throws -> [[Int]] {
    try prompts.enumerated().map { index, prompt in
      do { return try startingText(prompt) } catch let error as GenerationError {
        throw GenerationError("text \(index + 1) of \(prompts.count): \(error)")
      }
    }
  }

  private func startingText(_ prompt: [Int]) throws -> [Int] {
    guard prompt.isEmpty else { return prompt }
    guard let start = startToken else {
      throw GenerationError("the prompt is empty: expected text, as the tokenizer has no token to start one from")
    }
    return [start]
  }
}

/// Tokens as they become text, up to the first stop string.
private struct TextWriter {
  private var decoder: StreamDecoder
  private var stops: StopStrings
  private var text = ""

  init(_ tokenizer: Tokenizer, _ stopStrings: [String]) throws {
    decoder = StreamDecoder(tokenizer, skipSpecialTokens: true)
    stops = try StopStrings(stopStrings)
  }

  /// Takes a token, gives out the text that is certain, and the reason to finish if a stop string is complete.
  mutating func append(
    _ token: Int, _ onText: (String) throws -> Void
  ) throws -> GenerationResult.FinishReason? {
    let (piece, stop) = stops.append(try decoder.append(Int32(clamping: token)))
    try give(piece, onText)
    return stop.map { .stopString($0) }
  }

  /// Gives out what was held back, and puts the text into the result.
  mutating func finish(_ result: inout GenerationResult, _ onText: (String) throws -> Void) throws {
    if case .stopString = result.finishReason {
    } else {
      let (piece, stop) = stops.append(decoder.finish())
      try give(piece, onText)
      if let stop { result.finishReason = .stopString(stop) } else { try give(stops.finish(), onText) }
    }
    result.text = text
  }

  private mutating func give(_ piece: String, _ onText: (String) throws -> Void) throws {
    guard !piece.isEmpty else { return }
    text += piece
    try onText(piece)
  }
}
