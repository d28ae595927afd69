import TestSupport
import Testing
import WidebandCheckedInput
import WidebandLanguageModel
import WidebandTorch

@testable import WidebandDecoding

/// Steps as graphs, with the CPU in place of a GPU: a launch runs the captured work again, on the same tensors, so that
/// every step reads its token, position and phase where the one before has stored them.
@Suite struct DecodeGraphTests {
  private static let plain = DirectModel(kind: .plain, encoding: 1, decoding: 2, gate: .select)

  @Test func stepsAreThoseWithoutGraphs() throws {
    let device = FakeCapturer()
    let model = try Self.plain.model()
    let (ordinary, session) = try (DecodingSession(model), DecodingSession(model))
    let graph = try GraphSession(session, on: device)
    for session in [ordinary, session] { _ = try session.prefill(someTokens(5)) }
    for token in someTokens(20, from: 5) {
      let (expected, found) = try (ordinary.append(token), graph.append(token))
      #expect(try areIdentical(found, expected))
    }
    #expect(session.tokens == ordinary.tokens)
    // The first step runs without a graph.
    #expect(device.runs == 19)
    #expect(device.captures == 1)
    // A truncated sequence continues with the same graph.
    for session in [ordinary, session] { session.truncate(to: 11) }
    #expect(try areIdentical(graph.append(3), ordinary.append(3)))
    #expect(device.runs == 20)
  }

  @Test func aCacheThatMovesIsCapturedAgain() throws {
    let device = FakeCapturer()
    let model = try Self.plain.model()
    let (ordinary, session) = try (DecodingSession(model), DecodingSession(model, capacity: 8))
    let graph = try GraphSession(session, on: device)
    for session in [ordinary, session] { _ = try session.prefill(someTokens(5)) }
    for token in someTokens(30, from: 5) {
      #expect(try areIdentical(graph.append(token), ordinary.append(token)))
    }
    // It grows at 8, 16 and 32 positions, each time in a step without a graph.
    #expect(device.captures == 4)
    #expect(device.runs == 30 - 1 - 3)
  }

  @Test(arguments: DirectModel.all.filter { $0.kind != .experts }) func cyclesAreThoseWithoutGraphs(
    kind: DirectModel
  ) throws {
    let model = try kind.model()
    for cycle in [1, 2, 3, 6] {
      let device = FakeCapturer()
      let (ordinary, session) = try (DecodingSession(model, cycle: cycle), DecodingSession(model, cycle: cycle))
      let graph = try GraphSession(session, on: device)
      for session in [ordinary, session] { _ = try session.prefill(someTokens(4)) }
      for token in someTokens(4 * cycle + 2, from: 4) {
        let (expected, found) = try (ordinary.append(token), graph.append(token))
        #expect(try relativeError(of: found, to: expected) < 1e-6, "cycle \(cycle), \(session.tokens.count)")
      }
      #expect(session.phases == ordinary.phases)
      #expect(session.pendingCount == ordinary.pendingCount)
      // Heads and the steps between them, once each.
      #expect(device.captures == (cycle == 1 ? 1 : 2))
      // The first head has no cycle before it, the second is the first of its kind, as is the first step after one.
      #expect(device.runs == 4 * cycle + 2 - (cycle == 1 ? 1 : 3))
      // A sequence that is truncated within a cycle continues with its pending states.
      for session in [ordinary, session] { session.truncate(to: 4 + 2 * cycle + (cycle > 2 ? 2 : 0)) }
      for token: TokenID in [7, 9, 11] {
        #expect(try relativeError(of: graph.append(token), to: ordinary.append(token)) < 1e-6)
      }
    }
  }

  @Test(arguments: SamplingOptions.methods) func tokensAreReadAfterTheNextStepIsLaunched(options: SamplingOptions)
    throws
  {
    let model = try Self.plain.model()
    for allowed in [nil, AllowedTokens(below: 40), AllowedTokens((0..<40).filter { $0 % 3 != 1 })] {
      for cycle in [nil, 4] {
        func tokens(_ device: FakeCapturer?) throws -> [TokenID] {
          let session = try DecodingSession(model, cycle: cycle)
          let iterator = SingleTokenIterator(session, allowedTokens: allowed, on: device)
          let sampler = try Sampler(options, seed: 3)
          var all = try iterator.begin(someTokens(6), sampler: sampler)
          for _ in 0..<25 { all += try iterator.next() }
          // The session holds the tokens so far, of which the last one may not have been processed yet.
          #expect(session.tokens.dropFirst(6).elementsEqual(all.prefix(session.tokens.count - 6)))
          #expect(session.tokens.count >= 6 + 25)
          // Another prompt with the same beginning continues from there.
          all += try iterator.begin(someTokens(6) + [1, 2], sampler: sampler)
          for _ in 0..<4 { all += try iterator.next() }
          return all
        }
        let device = FakeCapturer()
        #expect(try tokens(device) == tokens(nil))
        #expect(device.runs > 20)
      }
    }
  }

  @Test func aPromptOfOneNewTokenIsProcessedBeforeAnythingIsSampled() throws {
    let model = try Self.plain.model()
    func tokens(_ device: FakeCapturer?) throws -> [[TokenID]] {
      let session = try DecodingSession(model)
      _ = try session.prefill(someTokens(6))
      return try (0..<2).map { _ in
        let iterator = SingleTokenIterator(session, on: device)
        return try iterator.begin(someTokens(6) + [1], sampler: Sampler(SamplingOptions(), seed: 3)) + iterator.next()
          + iterator.next()
      }
    }
    let found = try tokens(FakeCapturer())
    #expect(try found == tokens(nil) && found[0] == found[1])
  }

  @Test func anotherPromptFollowsOneThatHasFilledTheCache() throws {
    let iterator = SingleTokenIterator(
      try DecodingSession(try Self.plain.model(), capacity: 8), on: FakeCapturer())
    func tokens() throws -> [TokenID] {
      var tokens = try iterator.begin(someTokens(6), sampler: Sampler(SamplingOptions(), seed: 3))
      for _ in 0..<3 { tokens += try iterator.next() }
      return tokens
    }
    let first = try tokens()
    #expect(try tokens() == first)
  }

  @Test func stepsThatCannotBeCapturedRunWithoutGraphs() throws {
    let model = try Self.plain.model()
    let device = FakeCapturer(refuses: true)
    let (ordinary, session) = try (DecodingSession(model), DecodingSession(model))
    let graph = try GraphSession(session, on: device)
    for session in [ordinary, session] { _ = try session.prefill(someTokens(5)) }
    for token in someTokens(6, from: 5) {
      #expect(try areIdentical(graph.append(token), ordinary.append(token)))
    }
    #expect(device.captures == 1, "it is asked once")
    #expect(device.runs == 0)
    // Nothing is captured on the CPU, and nothing of composed operators.
    #expect(CUDAGraph.capturer(for: .cpu) == nil)
    #expect(RunAheadDecoder.make(for: model, allowedTokens: nil) == nil)
    #expect(CUDAGraph(on: .cpu) { true } == nil)
    #expect(
      message { _ = try AsyncReadback(.zeros([1])) }.hasPrefix("reading float32[1]: expected contiguous int64 elements")
    )
    let unasked = FakeCapturer()
    let composed = try GraphSession(try DecodingSession(model), on: unasked)
    try Kernels.$selected.withValue(.composed) {
      for token in someTokens(6) { _ = try composed.append(token) }
    }
    #expect(unasked.captures == 0)
  }

  @Test func randomNumbersContinueWhereTheDeviceHasNoMore() throws {
    let model = try Self.plain.model(contextLength: 1_024)
    func tokens(_ device: FakeCapturer?) throws -> [TokenID] {
      let iterator = SingleTokenIterator(try DecodingSession(model), on: device)
      var all = try iterator.begin([1, 2], sampler: Sampler(SamplingOptions(), seed: 2))
      for _ in 0..<530 { all += try iterator.next() }
      return all
    }
    #expect(try tokens(FakeCapturer()) == tokens(nil))
  }

  @Test(arguments: SamplingOptions.methods) func logitsThatAreNotFiniteAreAnError(options: SamplingOptions) throws {
    let model = try Self.plain.model()
    let iterator = SingleTokenIterator(try DecodingSession(model), on: FakeCapturer())
    _ = try iterator.begin(someTokens(6), sampler: Sampler(options, seed: 0))
    for _ in 0..<5 { _ = try iterator.next() }
    let norm = try #require(model.weights.tensors["model.norm.weight"])
    try withTorch { norm.fill(.nan) }
    #expect(
      message { for _ in 0..<3 { _ = try iterator.next() } }.hasSuffix(
        "tokens are not finite: the model's weights are broken"))
  }
}
