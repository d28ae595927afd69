import Torch

/// One token a pass.
///
/// Where the text's steps are recorded they choose themselves, and the step behind a token is given to the device before
/// the token is read.
final class SingleTokens: TokenSource {
  private let text: any GrowingText
  private let sampler: Sampler
  private let choices: AllowedTokens?
  private(set) var reusedTokenCount = 0
  private var last = 0
  /// The text as it takes recorded steps; nil where none are.
  private var leading: RecordedTexts?
  /// What the last step of the device chose, on its way.
  private var reading: Reading?

  /// - Parameters:
  ///   - choices: the tokens that may be chosen; nil for all.
  ///   - last: the token chosen behind what the text has read; of no meaning before `begin`.
  init(_ text: any GrowingText, _ sampler: Sampler, choices: AllowedTokens?, last: Int = 0) throws {
    self.text = text
    self.last = last
    self.sampler = sampler
    self.choices = choices
    guard let text = text as? any RecordableText, let recorded = text.recorded else { return }
    try recorded.choose(by: sampler.options, among: choices)
    leading = RecordedTexts([text], recorded)
  }

  var drafts: DraftCounts? { nil }

  func begin(_ prompt: [Int], check: () throws -> Void) throws -> [Int] {
    // The last token is read anew, for the logits of what follows it.
    reusedTokenCount = zip(text.tokens, prompt.dropLast()).prefix { $0 == $1 }.count
    text.truncate(to: reusedTokenCount)
    reading = nil
    return try choose(text.read(Array(prompt[reusedTokenCount...]), check: check))
  }

  func proceed() throws -> [Int] {
    if let leading, reading == nil, try leading.feed([last], by: [sampler]) { reading = try leading.readChosen() }
    guard let leading, let current = reading else { return try choose(text.append(last)) }
    let isAhead = try leading.feedChosen()
    reading = isAhead ? try leading.readChosen() : nil
    last = try leading.settling { try sampler.confirmed(current.values()[0], after: text.tokens.count) }
    if isAhead { leading.confirm([last]) }
    return [last]
  }

  private func choose(_ logits: Tensor) throws -> [Int] {
    last = try sampler.next(logits, among: choices, after: text.tokens)
    return [last]
  }
}
