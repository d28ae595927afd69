import LanguageModel
import Testing

@testable import Decoding
@testable import Torch

/// A session that is fed known tokens, and all logits that it has given, by position.
private final class Fed {
  let session: DirectDecodingSession
  private(set) var logits: [Int: Tensor] = [:]

  init(_ model: LanguageModel, cycle: Int) throws { session = try .init(model, cycle: cycle) }

  func read(_ tokens: [Int]) throws { note(try session.read(tokens)) }

  func append(_ tokens: [Int]) throws { for token in tokens { note(try session.append(token)) } }

  func note(_ tensor: Tensor) { logits[session.tokens.count - 1] = tensor }

  /// Whether every one of the logits is that of a pass over the whole text.
  func check(_ note: String) throws {
    let whole = try teacherForced(session.model, session.tokens, session.phases)
    for (position, found) in logits {
      let error = try relativeError(found, withTorch { whole.select(0, position) })
      #expect(error <= 2e-5, "\(note): position \(position)")
    }
  }
}

@Test(arguments: DirectModel.all)
func tokensOneByOneGiveTheLogitsOfTheWhole(kind: DirectModel) throws {
  let model = try kind.model()
  for cycle in [1, 2, 3, 4, 6] {
    // Prompts of every length modulo the cycle.
    for prompt in kind.encoding + 1...kind.encoding + min(cycle, 3) {
      let text = try Fed(model, cycle: cycle)
      try text.read(someTokens(prompt))
      try text.append(someTokens(cycle + 2, from: prompt))
      let phases = (0..<(prompt + cycle + 2)).map { $0 < prompt ? -1 : ($0 - prompt) % cycle }
      #expect(text.session.phases == phases)
      try text.check("cycle \(cycle), prompt \(prompt)")
    }
  }
}

@Test(arguments: DirectModel.some)
func everyPromptLengthModuloTheCycle(kind: DirectModel) throws {
  let model = try kind.model()
  for cycle in 2...6 {
    for prompt in 1...(cycle + 1) {
      let text = try Fed(model, cycle: cycle)
      try text.read(someTokens(prompt))
      try text.append(someTokens(2 * cycle + 1, from: prompt))
      try text.check("cycle \(cycle), prompt \(prompt)")
    }
  }
}

@Test(arguments: DirectModel.some)
func textsOfDifferentPhasesShareAPass(kind: DirectModel) throws {
  let model = try kind.model()
  let texts = try [4, 4, 3, 1, 6].map { try Fed(model, cycle: $0) }
  for (index, text) in texts.enumerated() {
    try text.read(someTokens(2 + index, from: 50 * index))
    try text.append(someTokens(index, from: 7 * index))
  }
  #expect(Set(texts.map(\.session.nextPhase)).count > 2)
  for step in 0..<9 {
    // A text may leave and come back.
    let chosen = texts.enumerated().filter { step < 3 || $0.offset != step % 5 }.map(\.element)
    let tokens = chosen.indices.map { (step * 17 + $0 * 29) % 61 }
    let logits = try DirectDecodingSession.append(tokens, to: chosen.map(\.session))
    #expect(logits.shape == [chosen.count, 61])
    for (row, text) in chosen.enumerated() { text.note(try withTorch { logits.select(0, row) }) }
  }
  for (index, text) in texts.enumerated() { try text.check("text \(index)") }
}

@Test(arguments: DirectModel.some)
func aSecondTurnFinishesTheCycleThatTheFirstLeft(kind: DirectModel) throws {
  let model = try kind.model()
  for stop in 0...5 {
    let text = try Fed(model, cycle: 4)
    try text.read(someTokens(3))
    try text.append(someTokens(stop, from: 3))
    let waiting = text.session.pendingCount
    #expect(waiting == (stop == 0 ? 0 : (stop - 1) % 4))
    try text.read(someTokens(3, from: 20))
    #expect(text.session.pendingCount == 0)
    #expect(text.session.nextPhase == 0)
    try text.append(someTokens(6, from: 30))
    try text.check("stopped after \(stop)")

    // Read anew with the gates that it had, it is the same text.
    let replayed = try Fed(model, cycle: 4)
    let seen = text.session.tokens.count - 1
    replayed.note(
      try replayed.session.replay(
        Array(text.session.tokens[..<seen]), phases: Array(text.session.phases[..<seen])))
    #expect(replayed.session.nextPhase == text.session.phases[seen])
    try replayed.append([text.session.tokens[seen]] + someTokens(5, from: 40))
    try replayed.check("replayed after \(stop)")
  }
}

/// What is replayed may begin and end anywhere in a cycle: the thinking layers run if a head is among it.
@Test(arguments: DirectModel.some)
func headsAmongReplayedTokensThink(kind: DirectModel) throws {
  let model = try kind.model()
  for appended in 1...4 {
    for count in 1...6 {
      let text = try Fed(model, cycle: 4)
      try text.read(someTokens(3))
      try text.append(someTokens(appended, from: 3))
      let waiting = text.session.pendingCount
      let phases = (appended..<(appended + count)).map { $0 % 4 }
      text.note(try text.session.replay(someTokens(count, from: 3 + appended), phases: phases))
      #expect(text.session.pendingCount == (phases.contains(0) ? 0 : waiting + count))
      #expect(text.session.nextPhase == (appended + count) % 4)
      try text.append(someTokens(5, from: 30))
      try text.check("\(count) replayed behind \(appended)")
    }
  }
}

@Test func aLongReplayKeepsItsPhasesInEveryPass() throws {
  let model = try DirectModel(kind: .plain, encoding: 1, decoding: 2, gate: .add).model(contextLength: 700)
  let text = try Fed(model, cycle: 3)
  let phases = (0..<600).map { $0 < 5 ? CycleGate.promptPhase : ($0 - 5) % 3 }
  text.note(try text.session.replay(someTokens(600), phases: phases))
  #expect(text.session.phases == phases)
  try text.append([5, 6])
  let exact = try teacherForced(model, text.session.tokens, phases + [1, 2])
  for (position, found) in text.logits {
    #expect(try relativeError(found, withTorch { exact.select(0, position) }) <= 2e-5, "position \(position)")
  }
}

@Test func aFailedPassLeavesNothingBehind() throws {
  let model = try DirectModel(kind: .plain, encoding: 1, decoding: 2, gate: .add).model()
  let text = try Fed(model, cycle: 3)
  try text.read(someTokens(4))
  try text.append(someTokens(3, from: 4))
  func lengths() -> [Int] { (0..<5).compactMap { text.session.cache?.length(layer: $0) } }
  #expect(lengths() == [7, 5, 5, 7, 7])

  // A head's pass runs through the thinking layers and fails behind them. Kernels have checked their weights long since.
  let query = try #require(model.weights.tensors["model.layers.4.self_attn.q_proj.weight"])
  let resize = Operator("resize_")
  try withTorch { resize.perform(.tensor(query), .ints([31, 24]), .none) }
  #expect(throws: TorchError.self) {
    try Kernels.$selected.withValue(.composed) { try text.session.append(9) }
  }
  try withTorch { resize.perform(.tensor(query), .ints([32, 24]), .none) }
  #expect(text.session.tokens.count == 7)
  #expect(text.session.pendingCount == 2)
  #expect(lengths() == [7, 5, 5, 7, 7])
  try text.append(someTokens(5, from: 20))
  try text.check("behind a failure")
}

@Test(arguments: DirectModel.some)
func aTruncatedTextGoesOnWithItsCycle(kind: DirectModel) throws {
  let model = try kind.model()
  for kept in 1...11 {
    let text = try Fed(model, cycle: 4)
    try text.read(someTokens(3))
    _ = try someTokens(8, from: 3).map { try text.session.append($0) }
    text.session.truncate(to: kept)
    #expect(text.session.tokens.count == kept)
    #expect(text.session.nextPhase == (kept <= 3 ? 0 : (kept - 3) % 4))
    try text.append(someTokens(6, from: 40))
    try text.check("kept \(kept)")
  }
}

@Test func keysAndValuesOfEveryLayerAreWrittenOnce() throws {
  let model = try DirectModel(kind: .plain, encoding: 1, decoding: 2, gate: .add).model()
  let session = try DirectDecodingSession(model, cycle: 3)
  _ = try session.read(someTokens(4))
  var lengths: [[Int]] = []
  for token in someTokens(5, from: 4) {
    _ = try session.append(token)
    lengths.append((0..<5).compactMap { session.cache?.length(layer: $0) })
  }
  #expect(lengths == [[5, 5, 5, 5, 5], [6, 5, 5, 6, 6], [7, 5, 5, 7, 7], [8, 8, 8, 8, 8], [9, 8, 8, 9, 9]])
}

@Test(arguments: DirectModel.some, [true, false])
func greedyTokensAreThoseOfTheOracle(kind: DirectModel, usesCache: Bool) throws {
  let model = try kind.model()
  for cycle in usesCache ? [1, 2, 3, 4, 6] : [3] {
    for promptLength in [1, 4, 5] {
      let prompt = someTokens(promptLength)
      var oracle = prompt
      for _ in 0..<14 {
        let phases = oracle.indices.map { $0 < promptLength ? -1 : ($0 - promptLength) % cycle }
        let logits = try teacherForced(model, oracle, phases)
        oracle.append(Int(try withTorch { try logits.select(0, oracle.count - 1).argmax(0).item() }))
      }
      var options = GenerationOptions()
      options.sampling = .greedy
      options.maximumTokens = 14
      options.cycle = cycle
      options.usesCache = usesCache
      let found = try TokenGeneration(model: model, options: options).run(prompt: prompt).tokens
      #expect(prompt + found == oracle, "cycle \(cycle), prompt \(promptLength)")
    }
  }
}

@Test func aSelectGateWithACycleOfOneIsTheOrdinaryModel() throws {
  let model = try DirectModel(kind: .wide, encoding: 1, decoding: 2, gate: .select).model()
  let direct = try DirectDecodingSession(model, cycle: 1)
  let ordinary = DecodingSession(model)
  #expect(try relativeError(direct.read(someTokens(5)), ordinary.append(someTokens(5))) <= 1e-5)
  for token in someTokens(4, from: 5) {
    #expect(try relativeError(direct.append(token), ordinary.append([token])) <= 1e-5)
  }
}

@Test func aLongPromptIsReadInSeveralPassesDirectly() throws {
  let model = try DirectModel(kind: .plain, encoding: 1, decoding: 2, gate: .add).model(contextLength: 1200)
  let text = try Fed(model, cycle: 4)
  var passes = 0
  text.note(try text.session.read(someTokens(1100)) { passes += 1 })
  #expect(passes == 3)
  try text.append([5, 6])
  try text.check("long")
}
