import LanguageModel
import Torch

/// A text that goes on together with others of its model.
protocol BatchedText: RecordableText {
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
/// A prompt takes the place, and the memory, of a text that has ended. Where texts are decoded directly it waits until the
/// others begin a cycle, so that the thinking layers run once a cycle for all of them.
struct BatchGeneration {
  let generation: TokenGeneration
  /// Records steps of several texts; nil where nothing is recorded.
  let recorder: RecordedWork.Recorder?

  init(generation: TokenGeneration) {
    self.init(generation: generation, recorder: RecordedWork.recorder(for: generation.model.weights.device))
  }

  init(generation: TokenGeneration, recorder: RecordedWork.Recorder?) {
    (self.generation, self.recorder) = (generation, recorder)
  }

  /// Rows up to which a product costs little more than one.
  static let mostTexts = Kernels.mostStepPositions

  /// Text i draws from the options' seed + i, and is the text that it would be alone.
  ///
  /// - Parameters:
  ///   - numbers: what is added to the seed for each text in place of i.
  ///   - accept: called with a prompt's place and each of its tokens; a reason to finish ends that text.
  ///   - finished: called with the place of each text that ended.
  func run(
    _ prompts: [[Int]], numbers: [Int]? = nil, check: () throws -> Void,
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
      return try run(prompts, numbers, check, accept, finished) {
        options.ordinaryText(of: model, expecting: generation.expectedLength(behind: $0))
      }
    }
    return try run(prompts, numbers, check, accept, finished) {
      try options.directText(of: model, cycle: cycle, expecting: generation.expectedLength(behind: $0))
    }
  }

  private func run<Text: BatchedText>(
    _ prompts: [[Int]], _ numbers: [Int]?, _ check: () throws -> Void,
    _ accept: (Int, Int) throws -> GenerationResult.FinishReason?,
    _ finished: (Int, GenerationResult) throws -> Void, text: ([Int]) throws -> Text
  ) throws {
    let seed = generation.options.seed ?? .random(in: 0 ... .max)
    var results = (numbers ?? Array(prompts.indices)).map { GenerationResult(seed: seed &+ UInt64($0)) }
    var firstChoices: [Int: ContinuousClock.Instant] = [:]
    var members: [TogetherTokens<Text>.Member] = []
    var free: [Text] = []
    var waiting = prompts.indices
    let together = TogetherTokens<Text>(choices: generation.choices, recorder: recorder)
    /// Whether the text goes on behind its last token.
    func goesOn(_ member: TogetherTokens<Text>.Member) throws -> Bool {
      let index = member.index
      guard let reason = try generation.finish(member.last, &results[index], { try accept(index, $0) }) else {
        return true
      }
      results[index].finishReason = reason
      results[index].decodingSeconds = firstChoices[index].map { ContinuousClock.now.seconds(since: $0) } ?? 0
      member.text.truncate(to: 0)
      free.append(member.text)
      try finished(index, results[index])
      return false
    }
    while !waiting.isEmpty || !members.isEmpty {
      while members.count < Self.mostTexts, members.allSatisfy(\.text.beginsCycle), let index = waiting.popFirst() {
        let member = try begin(
          prompts[index], at: index, &results[index], check, free.popLast() ?? text(prompts[index]))
        firstChoices[index] = ContinuousClock.now
        if try goesOn(member) { members.append(member) }
      }
      guard !members.isEmpty else { continue }
      try check()
      let chosen = try together.next(members)
      members = try zip(members, chosen).compactMap { member, token in
        guard let token else { return member }
        var member = member
        member.last = token
        results[member.index].decodedTokenCount += 1
        return try goesOn(member) ? member : nil
      }
    }
  }

  /// Reads a prompt into an empty text and chooses what follows it.
  private func begin<Text: BatchedText>(
    _ prompt: [Int], at index: Int, _ result: inout GenerationResult, _ check: () throws -> Void, _ text: Text
  ) throws -> TogetherTokens<Text>.Member {
    let start = ContinuousClock.now
    let sampler = try Sampler(generation.options.sampling, seed: result.seed)
    text.cache?.expect(generation.expectedLength(behind: prompt))
    let first = try sampler.next(
      text.read(prompt, check: check), among: generation.choices, after: text.tokens)
    result.promptTokenCount = prompt.count
    result.prefillSeconds = ContinuousClock.now.seconds(since: start)
    return .init(index: index, text: text, sampler: sampler, last: first)
  }
}
