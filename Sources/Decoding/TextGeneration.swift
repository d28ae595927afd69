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
    let generation = TokenGeneration(
      model: model, options: options, endOfText: Set(endOfTextTokens + ends),
      choices: min(tokenizer.vocabularySize, model.configuration.vocabularySize))
    var decoder = StreamDecoder(tokenizer, skipSpecialTokens: true)
    var stops = try StopStrings(options.stopStrings)
    var text = ""
    func give(_ piece: String) throws {
      guard !piece.isEmpty else { return }
      text += piece
      try onText(piece)
    }
    var result = try generation.run(prompt: try startingText(prompt), in: session, check: check) { token in
      let (piece, stop) = stops.append(try decoder.append(Int32(clamping: token)))
      try give(piece)
      return stop.map { .stopString($0) }
    }
    if case .stopString = result.finishReason {
    } else {
      let (piece, stop) = stops.append(decoder.finish())
      try give(piece)
      if let stop { result.finishReason = .stopString(stop) } else { try give(stops.finish()) }
    }
    result.text = text
    return result
  }

  private func startingText(_ prompt: [Int]) throws -> [Int] {
    guard prompt.isEmpty else { return prompt }
    guard let start = startToken else {
      throw GenerationError("the prompt is empty: expected text, as the tokenizer has no token to start one from")
    }
    return [start]
  }
}
