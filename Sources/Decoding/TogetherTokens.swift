import LanguageModel
import Torch

/// One token a pass of each of several texts.
///
/// Where steps are recorded they choose themselves, and the step behind some tokens is given to the device before the
/// tokens are read. A recording is of certain texts: one that has ended stays in it as a row of nothing, and another text may
/// take its place, so that there is a new recording where a text joins from elsewhere, where memory has moved, and where
/// no more than half of the rows are left.
final class TogetherTokens<Text: BatchedText> {
  /// A text on its way.
  struct Member {
    /// What it is known by: another text may take its memory when it has ended.
    let index: Int
    let text: Text
    let sampler: Sampler
    /// The token behind what the text has read.
    var last: Int
  }

  private let choices: AllowedTokens?
  private let recorder: RecordedWork.Recorder?
  /// The texts of the recordings.
  private var rows: [Text] = []
  private var leading: RecordedTexts?
  /// What the last step of the device chose, on its way, and which member has which row.
  private var flight: (reading: Reading, members: [Int?])?

  /// - Parameters:
  ///   - choices: the tokens that may be chosen; nil for all.
  ///   - recorder: records steps; nil where nothing is recorded.
  init(choices: AllowedTokens?, recorder: RecordedWork.Recorder?) {
    (self.choices, self.recorder) = (choices, recorder)
  }

  /// The token that follows each text's last one; nil for a text that has joined while a step of the others was on its way.
  ///
  /// - Throws: as `DecodingSession.append` and `Sampler.next`.
  func next(_ members: [Member]) throws -> [Int?] {
    guard let (reading, own) = try flight ?? start(members), let leading else {
      return try nextInTheOrdinaryWay(members)
    }
    let isAhead =
      try own.count { $0 != nil } == members.count && members.allSatisfy { own.contains($0.index) }
      && leading.feedChosen()
    flight = isAhead ? (try leading.readChosen(), own) : nil
    return try leading.settling {
      let chosen = try reading.values()
      let tokens: [Int?] = try members.map { member in
        try own.firstIndex(of: member.index).map {
          try member.sampler.confirmed(chosen[$0], after: member.text.tokens.count)
        }
      }
      if isAhead { leading.confirm(zip(own, chosen).map { $0 == nil ? nil : $1 }) }
      return tokens
    }
  }

  /// Gives the device a step behind the members' last tokens; nil where it has to be taken in the ordinary way.
  private func start(_ members: [Member]) throws -> (reading: Reading, members: [Int?])? {
    guard let recorder else { return nil }
    try gather(members, recorder)
    let own = rows.map { row in members.first { $0.text === row } }
    guard let leading, try leading.feed(own.map { $0?.last }, by: own.map { $0?.sampler }) else { return nil }
    return (try leading.readChosen(), own.map { $0?.index })
  }

  /// Sees to it that the recordings are of the members' texts.
  private func gather(_ members: [Member], _ recorder: @escaping RecordedWork.Recorder) throws {
    let isFitting = members.allSatisfy { member in rows.contains { $0 === member.text } }
    guard !isFitting || 2 * members.count <= rows.count else { return }
    rows = members.map(\.text)
    let steps = RecordedSteps(rows, recorder: recorder)
    if let options = members.first?.sampler.options { try steps?.choose(by: options, among: choices) }
    leading = steps.map { RecordedTexts(rows, $0) }
  }

  private func nextInTheOrdinaryWay(_ members: [Member]) throws -> [Int?] {
    let logits = try Text.append(members.map(\.last), to: members.map(\.text))
    return try members.enumerated().map { row, member in
      try member.sampler.next(withTorch { logits.select(0, row) }, among: choices, after: member.text.tokens)
    }
  }
}
