import WidebandCheckedInput
import WidebandLanguageModel
import WidebandTorch

/// Generates one token of each of several sequences a step. Sequences may join and leave between steps.
public final class BatchTokenIterator {
  /// The sequences of the next step, all of one model.
  public var sequences: [ActiveSequence] = []

  private let allowedTokens: AllowedTokens?
  private let runAhead: RunAheadDecoder?

  /// An iterator over sequences of a model, none so far.
  public convenience init(_ model: LanguageModel) {
    self.init(allowedTokens: nil, runAhead: RunAheadDecoder.make(for: model, allowedTokens: nil))
  }

  /// - Parameters:
  ///   - allowedTokens: the tokens that may be sampled; nil for all.
  ///   - runAhead: takes steps before the tokens of earlier ones are known; nil for one step after the other.
  init(allowedTokens: AllowedTokens?, runAhead: RunAheadDecoder?) {
    (self.allowedTokens, self.runAhead) = (allowedTokens, runAhead)
  }

  /// The token that follows each sequence's last one; nil for a sequence that joined while a step of the others was in
  /// flight.
  ///
  /// - Throws: as `DecodingSession.append` and `Sampler.next`.
  public func next() throws -> [TokenID?] {
    let tokens = try runAhead?.next(sequences) ?? step()
    for (index, token) in tokens.enumerated() { sequences[index].last = token ?? sequences[index].last }
    return tokens
  }

  private func step() throws -> [TokenID?] {
    let logits = try DecodingSession.append(sequences.map(\.last), to: sequences.map(\.session))
    return try sequences.enumerated().map { row, sequence in
      try sequence.sampler.next(
        withTorch { logits.select(0, row) }, among: allowedTokens, after: sequence.session.tokens)
    }
  }
}
