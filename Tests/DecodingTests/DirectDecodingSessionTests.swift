import Testing
import WidebandCheckedInput
import WidebandLanguageModel

@testable import WidebandDecoding
@testable import WidebandTorch

/// A session that is given known tokens, and all its logits by position.
private final class Fed {
  let session: DecodingSession
  private(set) var logits: [Int: Tensor] = [:]

  init(_ model: LanguageModel, cycle: Int) throws { session = try .init(model, cycle: cycle) }

  func prefill(_ tokens: [TokenID]) throws { note(try session.prefill(tokens)) }

  func append(_ tokens: [TokenID]) throws { for token in tokens { note(try session.append(token)) } }

  func note(_ tensor: Tensor) { logits[session.tokens.count - 1] = tensor }

  /// Checks the logits against one pass over the whole sequence.
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
      let sequence = try Fed(model, cycle: cycle)
      try sequence.prefill(someTokens(prompt))
      try sequence.append(someTokens(cycle + 2, from: prompt))
      let phases = (0..<(prompt + cycle + 2)).map { $0 < prompt ? -1 : ($0 - prompt) % cycle }
      #expect(sequence.session.phases == phases)
      try sequence.check("cycle \(cycle), prompt \(prompt)")
    }
  }
}

@Test(arguments: DirectModel.some)
func everyPromptLengthModuloTheCycle(kind: DirectModel) throws {
  let model = try kind.model()
  for cycle in 2...6 {
    for prompt in 1...(cycle + 1) {
      let sequence = try Fed(model, cycle: cycle)
      try sequence.prefill(someTokens(prompt))
      try sequence.append(someTokens(2 * cycle + 1, from: prompt))
      try sequence.check("cycle \(cycle), prompt \(prompt)")
    }
  }
}

@Test(arguments: DirectModel.some)
func sequencesOfDifferentPhasesShareAPass(kind: DirectModel) throws {
  let model = try kind.model()
  let sequences = try [4, 4, 3, 1, 6].map { try Fed(model, cycle: $0) }
  for (index, sequence) in sequences.enumerated() {
    try sequence.prefill(someTokens(2 + index, from: 50 * index))
    try sequence.append(someTokens(index, from: 7 * index))
  }
  #expect(Set(sequences.map(\.session.nextPhase)).count > 2)
  for step in 0..<9 {
    // A sequence may leave the batch and come back.
    let selected = sequences.enumerated().filter { step < 3 || $0.offset != step % 5 }.map(\.element)
    let tokens = selected.indices.map { TokenID((step * 17 + $0 * 29) % 61) }
    let logits = try DecodingSession.append(tokens, to: selected.map(\.session))
    #expect(logits.shape == [selected.count, 61])
    for (row, sequence) in selected.enumerated() { sequence.note(try withTorch { logits.select(0, row) }) }
  }
  for (index, sequence) in sequences.enumerated() { try sequence.check("sequence \(index)") }
}

/// The thinking layers of all sequences have more positions together than the kernels of decoding take.
@Test func sequencesAtTheirHeadsHaveTheLogitsThatTheyHaveAlone() throws {
  let model = try DirectModel(kind: .wide, encoding: 1, decoding: 2, gate: .add).model()
  let count = Kernels.maximumStepPositions
  for cycle in [4, 6] {
    let alone = try (0..<count).map { _ in try DecodingSession(model, cycle: cycle) }
    let together = try (0..<count).map { _ in try DecodingSession(model, cycle: cycle) }
    for (index, session) in (alone + together).enumerated() {
      _ = try session.prefill(someTokens(1 + index % count, from: 3 * (index % count)))
    }
    for step in 0...(2 * cycle) {
      let tokens = (0..<count).map { TokenID((step * 17 + $0 * 29) % 61) }
      let logits = try DecodingSession.append(tokens, to: together)
      for (row, session) in alone.enumerated() {
        let expected = try session.append(tokens[row]).elements(Float.self)
        let found = try withTorch { try logits.select(0, row).elements(Float.self) }
        #expect(found == expected, "cycle \(cycle), step \(step), sequence \(row)")
      }
    }
  }
}

@Test(arguments: DirectModel.some)
func aSecondTurnFinishesTheCycleThatTheFirstLeft(kind: DirectModel) throws {
  let model = try kind.model()
  for stop in 0...5 {
    let sequence = try Fed(model, cycle: 4)
    try sequence.prefill(someTokens(3))
    try sequence.append(someTokens(stop, from: 3))
    let pending = sequence.session.pendingCount
    #expect(pending == (stop == 0 ? 0 : (stop - 1) % 4))
    try sequence.prefill(someTokens(3, from: 20))
    #expect(sequence.session.pendingCount == 0)
    #expect(sequence.session.nextPhase == 0)
    try sequence.append(someTokens(6, from: 30))
    try sequence.check("stopped after \(stop)")

    // A prefill with the same phases restores the sequence.
    let replayed = try Fed(model, cycle: 4)
    let seen = sequence.session.tokens.count - 1
    replayed.note(
      try replayed.session.prefill(
        Array(sequence.session.tokens[..<seen]), phases: Array(sequence.session.phases[..<seen])))
    #expect(replayed.session.nextPhase == sequence.session.phases[seen])
    try replayed.append([sequence.session.tokens[seen]] + someTokens(5, from: 40))
    try replayed.check("replayed after \(stop)")
  }
}

/// Replayed tokens may begin and end anywhere in a cycle: the thinking layers run if a head is among them.
@Test(arguments: DirectModel.some)
func headsAmongReplayedTokensThink(kind: DirectModel) throws {
  let model = try kind.model()
  for appended in 1...4 {
    for count in 1...6 {
      let sequence = try Fed(model, cycle: 4)
      try sequence.prefill(someTokens(3))
      try sequence.append(someTokens(appended, from: 3))
      let pending = sequence.session.pendingCount
      let phases = (appended..<(appended + count)).map { $0 % 4 }
      sequence.note(try sequence.session.prefill(someTokens(count, from: 3 + appended), phases: phases))
      #expect(sequence.session.pendingCount == (phases.contains(0) ? 0 : pending + count))
      #expect(sequence.session.nextPhase == (appended + count) % 4)
      try sequence.append(someTokens(5, from: 30))
      try sequence.check("\(count) replayed after \(appended)")
    }
  }
}

@Test func aLongReplayKeepsItsPhasesInEveryPass() throws {
  let model = try DirectModel(kind: .plain, encoding: 1, decoding: 2, gate: .add).model(contextLength: 700)
  let sequence = try Fed(model, cycle: 3)
  let phases = (0..<600).map { $0 < 5 ? CycleGate.promptPhase : ($0 - 5) % 3 }
  sequence.note(try sequence.session.prefill(someTokens(600), phases: phases))
  #expect(sequence.session.phases == phases)
  try sequence.append([5, 6])
  let exact = try teacherForced(model, sequence.session.tokens, phases + [1, 2])
  for (position, found) in sequence.logits {
    #expect(try relativeError(found, withTorch { exact.select(0, position) }) <= 2e-5, "position \(position)")
  }
}

@Test func aFailedPassChangesNothing() throws {
  let model = try DirectModel(kind: .plain, encoding: 1, decoding: 2, gate: .add).model()
  let sequence = try Fed(model, cycle: 3)
  try sequence.prefill(someTokens(4))
  try sequence.append(someTokens(3, from: 4))
  func lengths() -> [Int] { (0..<5).compactMap { sequence.session.cache?.length(layer: $0) } }
  #expect(lengths() == [7, 5, 5, 7, 7])

  // A head's pass runs through the thinking layers and fails after them. Kernels check their weights when they are loaded only.
  let query = try #require(model.weights.tensors["model.layers.4.self_attn.q_proj.weight"])
  let resize = Operator("resize_")
  try withTorch { resize.perform(.tensor(query), .ints([31, 24]), .none) }
  #expect(throws: TorchError.self) {
    try Kernels.$selected.withValue(.composed) { try sequence.session.append(9) }
  }
  try withTorch { resize.perform(.tensor(query), .ints([32, 24]), .none) }
  #expect(sequence.session.tokens.count == 7)
  #expect(sequence.session.pendingCount == 2)
  #expect(lengths() == [7, 5, 5, 7, 7])
  try sequence.append(someTokens(5, from: 20))
  try sequence.check("after a failure")
}

@Test(arguments: DirectModel.some)
func aTruncatedSequenceContinuesItsCycle(kind: DirectModel) throws {
  let model = try kind.model()
  for count in 1...11 {
    let sequence = try Fed(model, cycle: 4)
    try sequence.prefill(someTokens(3))
    _ = try someTokens(8, from: 3).map { try sequence.session.append($0) }
    sequence.session.truncate(to: count)
    #expect(sequence.session.tokens.count == count)
    #expect(sequence.session.nextPhase == (count <= 3 ? 0 : (count - 3) % 4))
    try sequence.append(someTokens(6, from: 40))
    try sequence.check("\(count) remain")
  }
}

@Test func keysAndValuesOfEveryLayerAreWrittenOnce() throws {
  let model = try DirectModel(kind: .plain, encoding: 1, decoding: 2, gate: .add).model()
  let session = try DecodingSession(model, cycle: 3)
  _ = try session.prefill(someTokens(4))
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
        oracle.append(TokenID(try withTorch { try logits.select(0, oracle.count - 1).argmax(0).item() }))
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
  let direct = try DecodingSession(model, cycle: 1)
  let ordinary = try DecodingSession(model)
  #expect(try relativeError(direct.prefill(someTokens(5)), ordinary.prefill(someTokens(5))) <= 1e-5)
  for token in someTokens(4, from: 5) {
    #expect(try relativeError(direct.append(token), ordinary.append(token)) <= 1e-5)
  }
}

@Test func aLongPromptIsReadInSeveralPassesDirectly() throws {
  let model = try DirectModel(kind: .plain, encoding: 1, decoding: 2, gate: .add).model(contextLength: 1200)
  let sequence = try Fed(model, cycle: 4)
  var passes = 0
  sequence.note(try sequence.session.prefill(someTokens(1100)) { passes += 1 })
  #expect(passes == 3)
  try sequence.append([5, 6])
  try sequence.check("long")
}
