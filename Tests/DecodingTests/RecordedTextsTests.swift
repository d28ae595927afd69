import LanguageModel
import TestSupport
import Testing
import Torch

@testable import Decoding

/// Recorded steps of several texts, with a processor in the place of a GPU.
@Suite struct RecordedTextsTests {
  private static let plain = DirectModel(kind: .plain, encoding: 1, decoding: 2, gate: .select)

  @Test func textsAtTheirOwnPositionsAreThoseOfOrdinarySteps() throws {
    let model = try Self.plain.model()
    let (ordinary, texts) = ((0..<3).map { _ in DecodingSession(model) }, (0..<3).map { _ in DecodingSession(model) })
    for sessions in [ordinary, texts] {
      for (index, session) in sessions.enumerated() { _ = try session.append(someTokens(3 + 4 * index, from: index)) }
    }
    let device = StandInRecorder()
    let together = RecordedTexts(texts, try #require(RecordedSteps(texts, recorder: device.record)))
    for step in 0..<8 {
      let tokens = someTokens(3, from: 11 * step)
      let found = try #require(try together.append(tokens))
      for (row, (session, token)) in zip(ordinary, tokens).enumerated() {
        #expect(try areIdentical(withTorch { found.select(0, row) }, session.append([token])), "step \(step)")
      }
      #expect(texts.map(\.tokens) == ordinary.map(\.tokens))
    }
    #expect(device.records == 1 && device.runs == 7)
    // A text that is not among them changed, and one that is empty takes no token.
    texts[1].truncate(to: 0)
    ordinary[1].truncate(to: 0)
    for token in [4, 5] {
      let found = try #require(try together.append([token, nil, token + 1]))
      #expect(try areIdentical(withTorch { found.select(0, 0) }, ordinary[0].append([token])))
      #expect(try areIdentical(withTorch { found.select(0, 2) }, ordinary[2].append([token + 1])))
    }
    #expect(texts[1].tokens.isEmpty && device.records == 1 && device.runs == 9)
    // One that is not empty cannot stand aside.
    #expect(try together.append([1, nil, nil]) == nil)
    // Another text takes its place.
    for sessions in [ordinary, texts] { _ = try sessions[1].append(someTokens(4)) }
    let found = try #require(try together.append([7, 8, 9]))
    for (row, token) in [7, 8, 9].enumerated() {
      #expect(try areIdentical(withTorch { found.select(0, row) }, ordinary[row].append([token])))
    }
    #expect(device.records == 1)
  }

  @Test(arguments: DirectModel.some.filter { $0.kind != .experts }, [1, 2, 3, 6]) func cyclesAreThoseOfOrdinarySteps(
    kind: DirectModel, cycle: Int
  ) throws {
    let model = try kind.model()
    // With a cycle of six the kernels take two of the texts at a time.
    func sessions() throws -> [DirectDecodingSession] {
      let sessions = try (0..<3).map { _ in try DirectDecodingSession(model, cycle: cycle) }
      for (index, session) in sessions.enumerated() { _ = try session.read(someTokens(2 + 3 * index, from: index)) }
      return sessions
    }
    let (ordinary, texts, device) = (try sessions(), try sessions(), StandInRecorder())
    let together = RecordedTexts(texts, try #require(RecordedSteps(texts, recorder: device.record)))
    var ways: [Bool] = []
    for step in 0..<(4 * cycle + 2) {
      let tokens = someTokens(3, from: 5 * step)
      // Where a step is not recorded, it is that of the texts.
      let recorded = try together.append(tokens)
      let found = try recorded ?? DirectDecodingSession.append(tokens, to: texts)
      ways.append(recorded != nil)
      for (row, (session, token)) in zip(ordinary, tokens).enumerated() {
        let expected = try session.append(token)
        #expect(try relativeError(of: withTorch { found.select(0, row) }, to: expected) < 1e-6, "step \(step)")
      }
      #expect(texts.map(\.phases) == ordinary.map(\.phases))
      #expect(texts.map(\.pendingCount) == ordinary.map(\.pendingCount))
    }
    // The first heads have no cycle before them.
    #expect(ways == (0..<(4 * cycle + 2)).map { $0 > 0 || cycle == 1 })
    #expect(device.records == (cycle == 1 ? 1 : 2))
    #expect(device.runs == 4 * cycle + 2 - (cycle == 1 ? 1 : 3))
    // Texts at different places in the cycle do not go together.
    if cycle > 1 {
      texts[0].truncate(to: texts[0].tokens.count - 1)
      #expect(try together.append([1, 2, 3]) == nil)
    }
  }

  @Test func aRowWithoutATextStaysWhereItIs() throws {
    let model = try Self.plain.model()
    let texts = [DecodingSession(model), DecodingSession(model, capacity: 4)]
    for text in texts { _ = try text.append([1, 2, 3]) }
    texts[1].truncate(to: 0)
    let alone = DecodingSession(model)
    _ = try alone.append([1, 2, 3])
    let steps = try #require(RecordedSteps(texts, recorder: StandInRecorder().record))
    try steps.choose(by: .greedy, among: nil)
    let together = RecordedTexts(texts, steps)
    // More steps than it has memory for, with and without tokens from here.
    for token in someTokens(6) {
      let found = try #require(try together.append([token, nil]))
      #expect(try areIdentical(withTorch { found.select(0, 0) }, alone.append([token])))
    }
    let samplers = [try Sampler(.greedy, seed: 0), nil]
    var last = 7
    var reading: Reading?
    for _ in 0..<20 {
      #expect(try reading == nil ? together.feed([last, nil], by: samplers) : together.feedChosen())
      if reading != nil { together.confirm([last, nil]) }
      reading = try together.readChosen()
      let expected = try Sampler(.greedy, seed: 0).next(alone.append([last]), after: [])
      last = try #require(reading).values()[0]
      #expect(last == expected)
    }
    #expect(texts[0].tokens == alone.tokens && texts[1].tokens.isEmpty)
  }

  @Test func whatDoesNotBelongTogetherIsNotRecorded() throws {
    let model = try Self.plain.model()
    let device = StandInRecorder()
    let cycles = try [2, 3].map { try DirectDecodingSession(model, cycle: $0) }
    #expect(RecordedSteps(cycles, recorder: device.record) == nil)
    let many = (0..<17).map { _ in DecodingSession(model) }
    #expect(RecordedSteps(many, recorder: device.record) == nil)
    #expect(RecordedSteps(Array(many.prefix(16)), recorder: device.record) != nil)
    #expect(RecordedSteps([DecodingSession(model, usesCache: false)], recorder: device.record) == nil)
    #expect(RecordedSteps([], recorder: device.record) == nil)
  }

  @Test(arguments: SamplingOptions.ways, [nil, 1, 3]) func batchesAreTheTextsThatTheyAreAlone(
    sampling: SamplingOptions, cycle: Int?
  ) throws {
    let model = try Self.plain.model()
    var options = GenerationOptions()
    options.seed = 5
    options.cycle = cycle
    options.sampling = sampling
    // A head that is padded, and a vocabulary with holes.
    let allowed = AllowedTokens((0..<50).filter { $0 % 7 != 3 })
    // Prompts of many lengths, texts that end at many places, more of them than go together.
    let prompts = (0..<23).map { someTokens(1 + $0 * 5 % 17, from: $0) }
    func tokens(_ recorder: RecordedWork.Recorder?) throws -> (texts: [[Int]], counts: [Int]) {
      var (texts, counts) = ([[Int]](repeating: [], count: prompts.count), [Int](repeating: 0, count: prompts.count))
      let generation = TokenGeneration(model: model, options: options, choices: allowed)
      try BatchGeneration(generation: generation, recorder: recorder).run(
        prompts, check: {},
        accept: { index, token in
          texts[index].append(token)
          return texts[index].count < 6 + index * 7 % 20 ? nil : .maximumTokens
        }, finished: { counts[$0] = $1.decodedTokenCount })
      return (texts, counts)
    }
    let device = StandInRecorder()
    let (expected, found) = try (tokens(nil), tokens(device.record))
    #expect(found.texts == expected.texts)
    #expect(found.texts.allSatisfy { $0.allSatisfy { $0 < 50 && $0 % 7 != 3 } })
    #expect(found.counts == expected.counts && found.counts == found.texts.map { $0.count - 1 })
    // Most steps are recorded ones, of few recordings: where texts halve, and where the memory of a text grows.
    #expect(device.runs > 20)
    #expect(device.records <= 12, "\(device.records) recordings, \(device.runs) runs")
  }

  @Test func aBatchGoesOnWhereNothingCanBeRecorded() throws {
    let model = try Self.plain.model()
    var options = GenerationOptions()
    options.seed = 5
    options.maximumTokens = 8
    let prompts = (0..<5).map { someTokens(1 + $0) }
    func tokens(_ recorder: RecordedWork.Recorder?) throws -> [[Int]] {
      var texts = [[Int]](repeating: [], count: prompts.count)
      try BatchGeneration(generation: TokenGeneration(model: model, options: options), recorder: recorder).run(
        prompts, check: {},
        accept: { index, token in
          texts[index].append(token)
          return nil
        }, finished: { _, _ in })
      return texts
    }
    let device = StandInRecorder(refuses: true)
    #expect(try tokens(device.record) == tokens(nil))
    #expect(device.records == 1 && device.runs == 0)
  }
}
