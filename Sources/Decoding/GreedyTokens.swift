import Torch

/// The most probable tokens behind what texts have read, one after another and without an end: what a benchmark times.
public final class GreedyTokens {
  private let proceed: () throws -> [Int]

  /// The tokens behind `tokens`, one for each text, which the texts have not read yet.
  ///
  /// - Throws: `GenerationError` for no texts and for more or fewer tokens; `TorchError`.
  public convenience init(_ texts: [DecodingSession], after tokens: [Int]) throws { try self.init(of: texts, tokens) }

  /// The same of texts that are decoded directly.
  public convenience init(_ texts: [DirectDecodingSession], after tokens: [Int]) throws {
    try self.init(of: texts, tokens)
  }

  private init<Text: BatchedText>(of texts: [Text], _ tokens: [Int]) throws {
    let model = try Text.commonModel(of: texts, for: tokens)
    let sampler = try Sampler(.greedy, seed: 0)
    if texts.count == 1 {
      let source = try SingleTokens(texts[0], sampler, choices: nil, last: tokens[0])
      proceed = source.proceed
      return
    }
    let together = TogetherTokens<Text>(choices: nil, recorder: RecordedWork.recorder(for: model.weights.device))
    var members = zip(texts, tokens).enumerated().map { index, text in
      TogetherTokens.Member(index: index, text: text.0, sampler: sampler, last: text.1)
    }
    proceed = {
      for (row, token) in try together.next(members).enumerated() { members[row].last = token ?? members[row].last }
      return members.map(\.last)
    }
  }

  /// The next token of each text.
  ///
  /// - Throws: as `DecodingSession.append` and `Sampler.next`.
  public func next() throws -> [Int] { try proceed() }
}
