import LanguageModel
import Torch

/// A text whose steps can be recorded on its device.
protocol RecordableText: GrowingText {
  var model: LanguageModel { get }
  /// Nil where every call computes the whole text anew.
  var cache: KeyValueCache? { get }
  /// Its steps as they are recorded; nil where nothing is.
  var recorded: RecordedSteps? { get }
  /// The model's layers, where it decodes directly, and tokens of a cycle; nil and 1 where it does not.
  var layerGroups: ModelConfiguration.DirectDecoding.Groups? { get }
  var cycle: Int { get }
  /// Changes whenever the text does.
  var revision: Int { get }
  /// The kind of the next step, where it may be a recorded one.
  var nextKind: RecordedSteps.Kind? { get }
  /// The phase of the next token; 0 where the model does not decode directly.
  var nextPhase: Int { get }
  /// What waits for the thinking layers, `[1, P, n, C]`; nil for none.
  var pending: Tensor? { get }
  /// Takes note of a token that a recorded step has added, and of what waits now if the token is no head.
  func confirm(_ token: Int, waiting: Tensor?)
  /// Brings everything in line with the tokens again after a step that failed.
  func settle()
}

/// Texts that take recorded steps together; some of them may be empty, and then nothing is added to them.
///
/// Their steps can follow each other on the device before it is known here what they chose.
final class RecordedTexts {
  private let texts: [any RecordableText]
  private let steps: RecordedSteps
  /// Which texts the last step added to, and the texts' revisions when what it chose lay ready; nil for none.
  private var ready: (isLive: [Bool], revisions: [Int])?

  /// - Parameter steps: recorded for these very texts.
  init(_ texts: [any RecordableText], _ steps: RecordedSteps) {
    (self.texts, self.steps) = (texts, steps)
  }

  /// Adds tokens, nil for a text that is empty, and gives the logits `[texts, V]` behind them, which the next step
  /// overwrites; nil where the step has to be taken in the ordinary way.
  ///
  /// - Throws: `GenerationError` as `DecodingSession.append`; `TorchError`.
  func append(_ tokens: [Int?]) throws -> Tensor? {
    ready = nil
    guard let (kind, phase) = possibleStep(tokens) else { return nil }
    steps.choice?.rest()
    return try add(tokens, kind, phase) ? steps.logits : nil
  }

  /// A step that adds tokens; false where it has to be taken in the ordinary way.
  private func add(_ tokens: [Int?], _ kind: RecordedSteps.Kind, _ phase: Int) throws -> Bool {
    for case (let text, let token?) in zip(texts, tokens) {
      try text.model.configuration.requireTokens([token], after: text.tokens.count)
    }
    let additions = zip(texts, tokens).map { text, token in token.map { ($0, text.tokens.count) } }
    let isDone = try stepping {
      for (row, text) in texts.enumerated() {
        if let pending = text.pending { steps.takeWaiting(pending, of: row) }
      }
      return try steps.run(kind, additions, phase: phase)
    }
    if isDone { take(tokens) }
    return isDone
  }

  /// The kind and phase of a step that adds tokens, unless it has to be taken in the ordinary way.
  private func possibleStep(_ tokens: [Int?]) -> (RecordedSteps.Kind, Int)? {
    guard let found = kind(tokens.map { $0 != nil }),
      steps.isPossible(found.0, at: zip(texts, tokens).map { $1 == nil ? nil : $0.tokens.count })
    else { return nil }
    return found
  }

  /// Adds tokens and has the step choose what follows them, each text by its sampler; false where the step has to be taken
  /// in the ordinary way.
  ///
  /// - Throws: as `append`.
  func feed(_ tokens: [Int?], by samplers: [Sampler?]) throws -> Bool {
    ready = nil
    guard let choice = steps.choice, let (kind, phase) = possibleStep(tokens) else { return false }
    try choice.begin(
      zip(texts, samplers).map { text, sampler in sampler.map { (sampler: $0, tokens: text.tokens) } })
    guard try add(tokens, kind, phase) else { return false }
    ready = (tokens.map { $0 != nil }, texts.map(\.revision))
    return true
  }

  /// Adds the tokens that the last step chose, of which `confirm` takes note; false where that step has to be taken in the
  /// ordinary way, and nothing was added.
  func feedChosen() throws -> Bool {
    guard let ready, ready.revisions == texts.map(\.revision), let (kind, _) = kind(ready.isLive) else { return false }
    self.ready = nil
    let positions = zip(texts, ready.isLive).map { $1 ? $0.tokens.count : nil }
    guard try stepping({ try steps.runChosen(kind, at: positions) }) else { return false }
    self.ready = ready
    return true
  }

  /// The tokens chosen behind the last step, one a text, on their way.
  func readChosen() throws -> Reading { try steps.readChosen() }

  /// What `work` gives; if it fails, the texts end again where their tokens do, though a step has gone further.
  func settling<Result>(_ work: () throws -> Result) throws -> Result {
    do { return try work() } catch {
      ready = nil
      for text in texts { text.settle() }
      throw error
    }
  }

  /// Takes note of the tokens that the last step added, nil for a text that nothing is known of any more.
  func confirm(_ tokens: [Int?]) {
    take(tokens)
    ready?.revisions = texts.map(\.revision)
  }

  private func take(_ tokens: [Int?]) {
    for (row, (text, token)) in zip(texts, tokens).enumerated() {
      guard let token else { continue }
      let phase = text.nextPhase
      text.confirm(token, waiting: phase == 0 ? nil : steps.waiting(phase, of: row))
    }
  }

  /// The kind and phase of a step that adds to some of the texts, if it is one for all of them, and the others are empty.
  private func kind(_ isLive: [Bool]) -> (RecordedSteps.Kind, Int)? {
    let live = zip(texts, isLive).filter(\.1).map(\.0)
    guard let first = live.first, let kind = first.nextKind, Kernels.selected == .fused,
      live.allSatisfy({ $0.nextKind == kind && $0.nextPhase == first.nextPhase }),
      zip(texts, isLive).allSatisfy({ $1 || $0.tokens.isEmpty })
    else { return nil }
    return (kind, first.nextPhase)
  }

  /// Runs a step without derivatives; the texts forget one that failed.
  private func stepping<Result>(_ step: () throws -> Result) throws -> Result {
    try settling { try withTorch { try withoutGradients(step) } }
  }
}
