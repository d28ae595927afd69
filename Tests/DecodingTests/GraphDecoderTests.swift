import TestSupport
import Testing
import WidebandCheckedInput
import WidebandLanguageModel
import WidebandTorch

@testable import WidebandDecoding

/// Graphs of several sequences, with the CPU in place of a GPU.
@Suite struct GraphDecoderTests {
  private static let plain = DirectModel(kind: .plain, encoding: 1, decoding: 2, gate: .select)

  @Test func sequencesAtTheirOwnPositionsAreThoseWithoutGraphs() throws {
    let model = try Self.plain.model()
    let (ordinary, sessions) = try (
      (0..<3).map { _ in try DecodingSession(model) }, (0..<3).map { _ in try DecodingSession(model) }
    )
    for sessions in [ordinary, sessions] {
      for (index, session) in sessions.enumerated() { _ = try session.prefill(someTokens(3 + 4 * index, from: index)) }
    }
    let device = FakeCapturer()
    let decoder = try #require(try GraphDecoder(sessions, on: device))
    for step in 0..<8 {
      let tokens = someTokens(3, from: 11 * step)
      let found = try #require(try decoder.append(tokens))
      for (row, (session, token)) in zip(ordinary, tokens).enumerated() {
        #expect(try areIdentical(withTorch { found.select(0, row) }, session.append(token)), "step \(step)")
      }
      #expect(sessions.map(\.tokens) == ordinary.map(\.tokens))
    }
    #expect(device.captures == 1 && device.runs == 7)
    // A sequence that is empty takes no token.
    sessions[1].truncate(to: 0)
    ordinary[1].truncate(to: 0)
    for token: TokenID in [4, 5] {
      let found = try #require(try decoder.append([token, nil, token + 1]))
      #expect(try areIdentical(withTorch { found.select(0, 0) }, ordinary[0].append(token)))
      #expect(try areIdentical(withTorch { found.select(0, 2) }, ordinary[2].append(token + 1)))
    }
    #expect(sessions[1].tokens.isEmpty && device.captures == 1 && device.runs == 9)
    // The row of a sequence that is not empty cannot be idle.
    #expect(try decoder.append([1, nil, nil]) == nil)
    // Another sequence takes its place.
    for sessions in [ordinary, sessions] { _ = try sessions[1].prefill(someTokens(4)) }
    let tokens: [TokenID] = [7, 8, 9]
    let found = try #require(try decoder.append(tokens))
    for (row, token) in tokens.enumerated() {
      #expect(try areIdentical(withTorch { found.select(0, row) }, ordinary[row].append(token)))
    }
    #expect(device.captures == 1)
  }

  @Test(arguments: DirectModel.some.filter { $0.kind != .experts }, [1, 2, 3, 6]) func cyclesAreThoseWithoutGraphs(
    kind: DirectModel, cycle: Int
  ) throws {
    let model = try kind.model()
    // With a cycle of six the kernels take two of the sequences at a time.
    func makeSessions() throws -> [DecodingSession] {
      let sessions = try (0..<3).map { _ in try DecodingSession(model, cycle: cycle) }
      for (index, session) in sessions.enumerated() { _ = try session.prefill(someTokens(2 + 3 * index, from: index)) }
      return sessions
    }
    let (ordinary, sessions, device) = (try makeSessions(), try makeSessions(), FakeCapturer())
    let decoder = try #require(try GraphDecoder(sessions, on: device))
    var usesGraph: [Bool] = []
    for step in 0..<(4 * cycle + 2) {
      let tokens = someTokens(3, from: 5 * step)
      let logits = try decoder.append(tokens)
      let found = try logits ?? DecodingSession.append(tokens, to: sessions)
      usesGraph.append(logits != nil)
      for (row, (session, token)) in zip(ordinary, tokens).enumerated() {
        let expected = try session.append(token)
        #expect(try relativeError(of: withTorch { found.select(0, row) }, to: expected) < 1e-6, "step \(step)")
      }
      #expect(sessions.map(\.phases) == ordinary.map(\.phases))
      #expect(sessions.map(\.pendingCount) == ordinary.map(\.pendingCount))
    }
    // The first heads have no cycle before them.
    #expect(usesGraph == (0..<(4 * cycle + 2)).map { $0 > 0 || cycle == 1 })
    #expect(device.captures == (cycle == 1 ? 1 : 2))
    #expect(device.runs == 4 * cycle + 2 - (cycle == 1 ? 1 : 3))
    // Sequences at different phases have no step in common.
    if cycle > 1 {
      sessions[0].truncate(to: sessions[0].tokens.count - 1)
      #expect(try decoder.append([1, 2, 3]) == nil)
    }
  }

  @Test func anIdleRowStaysWhereItIs() throws {
    let model = try Self.plain.model()
    let sessions = try [DecodingSession(model), DecodingSession(model, capacity: 4)]
    for session in sessions { _ = try session.prefill([1, 2, 3]) }
    sessions[1].truncate(to: 0)
    let alone = try DecodingSession(model)
    _ = try alone.prefill([1, 2, 3])
    let decoder = try #require(try GraphDecoder(sessions, on: FakeCapturer()))
    // More steps than its cache has memory for, with and without tokens from the host.
    for token in someTokens(6) {
      let found = try #require(try decoder.append([token, nil]))
      #expect(try areIdentical(withTorch { found.select(0, 0) }, alone.append(token)))
    }
    let samplers = [try Sampler(.greedy, seed: 0), nil]
    var last: TokenID = 7
    var readback: AsyncReadback?
    for _ in 0..<20 {
      #expect(try readback == nil ? decoder.step([last, nil], by: samplers) : decoder.replay())
      if readback != nil { decoder.commit([last, nil]) }
      readback = try decoder.readSampledTokens()
      let expected = try Sampler(.greedy, seed: 0).next(alone.append(last), after: [])
      last = TokenID(try #require(readback).values()[0])
      #expect(last == expected)
    }
    #expect(sessions[0].tokens == alone.tokens && sessions[1].tokens.isEmpty)
  }

  @Test func sequencesThatDoNotBelongTogetherHaveNoGraph() throws {
    let model = try Self.plain.model()
    let device = FakeCapturer()
    #expect(try GraphDecoder([2, 3].map { try DecodingSession(model, cycle: $0) }, on: device) == nil)
    #expect(try GraphDecoder([nil, 1].map { try DecodingSession(model, cycle: $0) }, on: device) == nil)
    let many = try (0..<17).map { _ in try DecodingSession(model) }
    #expect(try GraphDecoder(many, on: device) == nil)
    #expect(try GraphDecoder(Array(many.prefix(16)), on: device) != nil)
    #expect(try GraphDecoder([DecodingSession(model, usesCache: false)], on: device) == nil)
    #expect(try GraphDecoder([], on: device) == nil)
  }

  @Test(arguments: SamplingOptions.methods, [nil, 1, 3]) func sequencesOfABatchAreThoseThatTheyAreAlone(
    sampling: SamplingOptions, cycle: Int?
  ) throws {
    let model = try Self.plain.model()
    var options = GenerationOptions()
    options.seed = 5
    options.cycle = cycle
    options.sampling = sampling
    // A head that is padded, and a vocabulary with gaps.
    let allowed = AllowedTokens((0..<50).filter { $0 % 7 != 3 })
    // Prompts and continuations of many lengths, more of them than are decoded at a time.
    let prompts = (0..<23).map { someTokens(1 + $0 * 5 % 17, from: $0) }
    func tokens(_ device: FakeCapturer?) throws -> (sequences: [[TokenID]], counts: [Int]) {
      var sequences = [[TokenID]](repeating: [], count: prompts.count)
      var counts = [Int](repeating: 0, count: prompts.count)
      let generation = TokenGeneration(model: model, options: options, allowedTokens: allowed)
      let runAhead = device.map { RunAheadDecoder($0, allowedTokens: allowed) }
      try BatchGeneration(generation: generation, runAhead: runAhead).run(
        prompts, check: {},
        accept: { index, token in
          sequences[index].append(token)
          return sequences[index].count < 6 + index * 7 % 20 ? nil : .maximumTokens
        }, finished: { counts[$0] = $1.decodedTokenCount })
      return (sequences, counts)
    }
    let device = FakeCapturer()
    let (expected, found) = try (tokens(nil), tokens(device))
    #expect(found.sequences == expected.sequences)
    #expect(found.sequences.allSatisfy { $0.allSatisfy { $0 < 50 && $0 % 7 != 3 } })
    #expect(found.counts == expected.counts && found.counts == found.sequences.map { $0.count - 1 })
    // Most steps run as one of few graphs: new ones where the batch halves, and where a cache grows.
    #expect(device.runs > 20)
    #expect(device.captures <= 12, "\(device.captures) captures, \(device.runs) runs")
  }

  @Test func aBatchContinuesWhereNothingCanBeCaptured() throws {
    let model = try Self.plain.model()
    var options = GenerationOptions()
    options.seed = 5
    options.maximumTokens = 8
    let prompts = (0..<5).map { someTokens(1 + $0) }
    func tokens(_ device: FakeCapturer?) throws -> [[TokenID]] {
      var sequences = [[TokenID]](repeating: [], count: prompts.count)
      let generation = TokenGeneration(model: model, options: options)
      try BatchGeneration(generation: generation, runAhead: device.map { RunAheadDecoder($0) }).run(
        prompts, check: {},
        accept: { index, token in
          sequences[index].append(token)
          return nil
        }, finished: { _, _ in })
      return sequences
    }
    let device = FakeCapturer(refuses: true)
    #expect(try tokens(device) == tokens(nil))
    #expect(device.captures == 1 && device.runs == 0)
  }
}
