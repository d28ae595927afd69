import LanguageModel
import Torch

/// A text that goes on together with others of its model.
protocol BatchedText: GrowingText {
  var model: LanguageModel { get }
  /// Whether the next token begins a cycle: texts that begin theirs together run through the thinking layers together.
  var beginsCycle: Bool { get }
  /// Adds one token to each of some texts in one pass and gives the logits `[texts, V]` of what follows them.
  static func append(_ tokens: [Int], to texts: [Self]) throws -> Tensor
}

extension BatchedText {
  /// The model of all texts; an error for texts of several, for one that is there twice, and for too few or many tokens.
  static func commonModel(of texts: [Self], for tokens: [Int]) throws -> LanguageModel {
    guard let model = texts.first?.model, texts.count == tokens.count,
      texts.allSatisfy({ $0.model.weights === model.weights }),
      Set(texts.map(ObjectIdentifier.init)).count == texts.count
    else {
      throw GenerationError("\(tokens.count) tokens for \(texts.count) texts: expected one for each text of a model")
    }
    return model
  }
}

extension DecodingSession: BatchedText {
  var beginsCycle: Bool { true }
}

extension DirectDecodingSession: BatchedText {
  var beginsCycle: Bool { nextPhase == 0 }
}

/// Continues many prompts, some at a time, each token of theirs in one pass over the weights.
///
/// A prompt takes the place of a text that has ended. Where texts are decoded directly it waits until the others begin a
/// cycle, so that the thinking layers run once a cycle for all of them.
struct BatchGeneration {
  let generation: TokenGeneration
  /// Rows up to which a product costs little more than one.
  static let mostTexts = 16

  /// One text on its way.
  private struct Member<Text: BatchedText> {
    let index: Int
    let text: Text
    let sampler: Sampler
    let firstChoice: ContinuousClock.Instant
    var last: Int
  }

  /// Text i draws from the options' seed + i, and is the text that it would be alone.
  ///
  /// - Parameters:
  ///   - accept: called with a prompt's place and each of its tokens; a reason to finish ends that text.
  ///   - finished: called with the place of each text that ended.
  func run(
    _ prompts: [[Int]], check: () throws -> Void,
    accept: (Int, Int) throws -> GenerationResult.FinishReason?, finished: (Int, GenerationResult) throws -> Void
  ) throws {
    let (model, options) = (generation.model, generation.options)
    try options.validate()
    guard options.drafter == nil else { throw GenerationError("drafts are for one text: expected none for several") }
    for (index, prompt) in prompts.enumerated() {
      do { try generation.requireRoom(behind: prompt) } catch {
        throw GenerationError("text \(index + 1) of \(prompts.count): \(error)")
      }
    }
    guard let cycle = options.cycle else {
      return try run(prompts, check, accept, finished) {
        options.ordinaryText(of: model, expecting: generation.expectedLength(behind: $0))
      }
    }
    return try run(prompts, check, accept, finished) {
      try options.directText(of: model, cycle: cycle, expecting: generation.expectedLength(behind: $0))
    }
  }

  private func run<Text: BatchedText>(
    _ prompts: [[Int]], _ check: () throws -> Void, _ accept: (Int, Int) throws -> GenerationResult.FinishReason?,
    _ finished: (Int, GenerationResult) throws -> Void, text: ([Int]) throws -> Text
  ) throws {
    let seed = generation.options.seed ?? .random(in: 0 ... .max)
    var results = prompts.indices.map { GenerationResult(seed: seed &+ UInt64($0)) }
    var members: [Member<Text>] = []
    var waiting = prompts.indices
    /// Whether the text goes on behind its last token.
    func goesOn(_ member: Member<Text>) throws -> Bool {
      let index = member.index
      guard let reason = try generation.finish(member.last, &results[index], { try accept(index, $0) }) else {
        return true
      }
      results[index].finishReason = reason
      results[index].decodingSeconds = ContinuousClock.now.seconds(since: member.firstChoice)
      try finished(index, results[index])
      return false
    }
    while !waiting.isEmpty || !members.isEmpty {
      while members.count < Self.mostTexts, members.allSatisfy(\.text.beginsCycle), let index = waiting.popFirst() {
        let member = try begin(prompts[index], at: index, &results[index], check, text)
        if try goesOn(member) { members.append(member) }
      }
      guard !members.isEmpty else { continue }
      try check()
      let logits = try Text.append(members.map(\.last), to: members.map(\.text))
      for row in members.indices {
        members[row].last = try members[row].sampler.next(
          withTorch { logits.select(0, row) }, among: generation.choices, after: members[row].text.tokens)
        results[members[row].index].decodedTokenCount += 1
      }
      members = try members.filter(goesOn)
    }
  }

  /// Reads a prompt and chooses what follows it.
  private func begin<Text: BatchedText>(
    _ prompt: [Int], at index: Int, _ result: inout GenerationResult, _ check: () throws -> Void,
    _ text: ([Int]) throws -> Text
  ) throws -> Member<Text> {
    let start = ContinuousClock.now
    let sampler = try Sampler(generation.options.sampling, seed: result.seed)
    let text = try text(prompt)
    let first = try sampler.next(
      text.read(prompt, check: check), among: generation.choices, after: text.tokens)
    let now = ContinuousClock.now
    result.promptTokenCount = prompt.count
    result.prefillSeconds = now.seconds(since: start)
    return Member(index: index, text: text, sampler: sampler, firstChoice: now, last: first)
  }
}
