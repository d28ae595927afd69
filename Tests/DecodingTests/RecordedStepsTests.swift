import LanguageModel
import TestSupport
import Testing
import Torch

@testable import Decoding

/// Recorded steps, with a processor in the place of a GPU: what would be recorded is done anew each time, on the same
/// tensors, so that every step reads its token, position and phase where the one before has left them.
@Suite struct RecordedStepsTests {
  private static let plain = DirectModel(kind: .plain, encoding: 1, decoding: 2, gate: .select)

  @Test func aTextIsThatOfOrdinarySteps() throws {
    let model = try Self.plain.model()
    let (ordinary, text, device) = (DecodingSession(model), DecodingSession(model), StandInRecorder())
    text.recorded = recorded(text, device)
    for session in [ordinary, text] { _ = try session.append(someTokens(5)) }
    for token in someTokens(20, from: 5) {
      let (expected, found) = try (ordinary.append([token]), text.append([token]))
      #expect(try areIdentical(found, expected))
    }
    #expect(text.tokens == ordinary.tokens)
    // The first step is an ordinary one.
    #expect(text.recorded?.runCount == 19)
    #expect(device.records == 1)
    // Forgetting takes nothing from what was recorded.
    for session in [ordinary, text] { session.truncate(to: 11) }
    #expect(try areIdentical(text.append([3]), ordinary.append([3])))
    #expect(text.recorded?.runCount == 20)
  }

  @Test func aCacheThatMovesIsRecordedAnew() throws {
    let model = try Self.plain.model()
    let (ordinary, device) = (DecodingSession(model), StandInRecorder())
    let text = DecodingSession(model, capacity: 8)
    text.recorded = recorded(text, device)
    for session in [ordinary, text] { _ = try session.append(someTokens(5)) }
    for token in someTokens(30, from: 5) {
      #expect(try areIdentical(text.append([token]), ordinary.append([token])))
    }
    // It grows at 8, 16 and 32 positions, each time in an ordinary step.
    #expect(device.records == 4)
    #expect(text.recorded?.runCount == 30 - 1 - 3)
  }

  @Test(arguments: DirectModel.all.filter { $0.kind != .experts }) func cyclesAreThoseOfOrdinarySteps(
    kind: DirectModel
  ) throws {
    let model = try kind.model()
    for cycle in [1, 2, 3, 6] {
      let device = StandInRecorder()
      let (ordinary, text) = try (
        DirectDecodingSession(model, cycle: cycle), DirectDecodingSession(model, cycle: cycle)
      )
      text.recorded = recorded(text, device)
      for session in [ordinary, text] { _ = try session.read(someTokens(4)) }
      for token in someTokens(4 * cycle + 2, from: 4) {
        let (expected, found) = try (ordinary.append(token), text.append(token))
        #expect(try relativeError(of: found, to: expected) < 1e-6, "cycle \(cycle), \(text.tokens.count)")
      }
      #expect(text.phases == ordinary.phases)
      #expect(text.pendingCount == ordinary.pendingCount)
      // Heads and the steps behind them, once each.
      #expect(device.records == (cycle == 1 ? 1 : 2))
      // The first head has no cycle before it, the second is the first of its kind, as is the first step behind one.
      #expect(text.recorded?.runCount == 4 * cycle + 2 - (cycle == 1 ? 1 : 3))
      // A text that is cut within a cycle goes on with what waits.
      for session in [ordinary, text] { session.truncate(to: 4 + 2 * cycle + (cycle > 2 ? 2 : 0)) }
      for token in [7, 9, 11] {
        #expect(try relativeError(of: text.append(token), to: ordinary.append(token)) < 1e-6)
      }
    }
  }

  @Test(arguments: SamplingOptions.ways) func choicesAreReadBehindTheNextStep(options: SamplingOptions) throws {
    let model = try Self.plain.model()
    for choices in [nil, AllowedTokens(below: 40), AllowedTokens((0..<40).filter { $0 % 3 != 1 })] {
      for isDirect in [false, true] {
        func tokens(_ device: StandInRecorder?) throws -> (tokens: [Int], runs: Int) {
          let text: any RecordableText
          if isDirect {
            let direct = try DirectDecodingSession(model, cycle: 4)
            if let device { direct.recorded = recorded(direct, device) }
            text = direct
          } else {
            let plain = DecodingSession(model)
            if let device { plain.recorded = recorded(plain, device) }
            text = plain
          }
          let source = try SingleTokens(text, Sampler(options, seed: 3), choices: choices)
          var all = try source.begin(someTokens(6)) {}
          for _ in 0..<25 { all += try source.proceed() }
          // The text holds what was given out, of which the last one may not have been read yet.
          #expect(text.tokens.dropFirst(6).elementsEqual(all.prefix(text.tokens.count - 6)))
          #expect(text.tokens.count >= 6 + 25)
          // Another prompt with the same beginning goes on from there.
          all += try source.begin(someTokens(6) + [1, 2]) {}
          for _ in 0..<4 { all += try source.proceed() }
          return (all, text.recorded?.runCount ?? 0)
        }
        let (expected, found) = try (tokens(nil), tokens(StandInRecorder()))
        #expect(found.tokens == expected.tokens)
        #expect(found.runs > 20)
      }
    }
  }

  @Test func logitsStayWhatTheyAre() throws {
    let text = DecodingSession(try Self.plain.model())
    text.recorded = recorded(text, StandInRecorder())
    _ = try text.append(someTokens(5))
    let logits = try [3, 4, 3].map { try text.append([$0]) }
    let copies = try logits.map { try $0.elements(Float.self) }
    #expect(copies[0] != copies[1] && copies[1] != copies[2])
  }

  @Test func aPromptOfOneNewTokenIsReadBeforeAnythingIsDrawn() throws {
    let model = try Self.plain.model()
    func tokens(_ device: StandInRecorder?) throws -> [[Int]] {
      let text = DecodingSession(model)
      if let device { text.recorded = recorded(text, device) }
      _ = try text.append(someTokens(6))
      return try (0..<2).map { _ in
        let source = try SingleTokens(text, Sampler(SamplingOptions(), seed: 3), choices: nil)
        return try source.begin(someTokens(6) + [1], check: {}) + source.proceed() + source.proceed()
      }
    }
    let found = try tokens(StandInRecorder())
    #expect(try found == tokens(nil) && found[0] == found[1])
  }

  @Test func anotherTextFollowsOneThatHasFilledTheCache() throws {
    let model = try Self.plain.model()
    let text = DecodingSession(model, capacity: 8)
    text.recorded = recorded(text, StandInRecorder())
    func tokens() throws -> [Int] {
      let source = try SingleTokens(text, Sampler(SamplingOptions(), seed: 3), choices: nil)
      var tokens = try source.begin(someTokens(6), check: {})
      for _ in 0..<3 { tokens += try source.proceed() }
      return tokens
    }
    let first = try tokens()
    #expect(try tokens() == first)
  }

  @Test func aSamplerThatIsDoneWithATextIsAskedForNothing() throws {
    let text = DecodingSession(try Self.plain.model())
    text.recorded = recorded(text, StandInRecorder())
    let sampler = try Sampler(SamplingOptions(), seed: 3)
    let source = try SingleTokens(text, sampler, choices: nil)
    _ = try source.begin(someTokens(6), check: {}) + source.proceed()
    for _ in 0..<300 { _ = try sampler.numbers.take() }
    // As many steps as there are numbers of it on the device, and more.
    for _ in 0..<260 {
      text.truncate(to: 6)
      _ = try text.append([1])
    }
    #expect(sampler.numbers.taken == 302)
  }

  @Test func whatCannotBeRecordedIsDoneAsEver() throws {
    let model = try Self.plain.model()
    let (ordinary, text, device) = (DecodingSession(model), DecodingSession(model), StandInRecorder(refuses: true))
    text.recorded = recorded(text, device)
    for session in [ordinary, text] { _ = try session.append(someTokens(5)) }
    for token in someTokens(6, from: 5) {
      #expect(try areIdentical(text.append([token]), ordinary.append([token])))
    }
    #expect(device.records == 1, "it is asked once")
    #expect(text.recorded?.runCount == 0)
    // Nothing is recorded for a processor, and nothing of composed operators.
    #expect(RecordedWork.recorder(for: .cpu) == nil)
    #expect(RecordedWork(on: .cpu) { true } == nil)
    #expect(message { _ = try Reading(.zeros([1])) }.hasPrefix("reading float32[1]: expected whole numbers of int64"))
    let composed = DecodingSession(model)
    let unasked = StandInRecorder()
    composed.recorded = recorded(composed, unasked)
    try Kernels.$selected.withValue(.composed) {
      for token in someTokens(6) { _ = try composed.append([token]) }
    }
    #expect(unasked.records == 0)
  }

  @Test func numbersGoOnWhereTheDeviceHasNoMore() throws {
    let model = try Self.plain.model(contextLength: 1_024)
    func tokens(_ device: StandInRecorder?) throws -> [Int] {
      let text = DecodingSession(model)
      if let device { text.recorded = recorded(text, device) }
      let source = try SingleTokens(text, Sampler(SamplingOptions(), seed: 2), choices: nil)
      var all = try source.begin([1, 2]) {}
      for _ in 0..<530 { all += try source.proceed() }
      return all
    }
    #expect(try tokens(StandInRecorder()) == tokens(nil))
  }

  @Test(arguments: SamplingOptions.ways) func logitsThatAreNotFiniteAreAnError(options: SamplingOptions) throws {
    let model = try Self.plain.model()
    let text = DecodingSession(model)
    text.recorded = recorded(text, StandInRecorder())
    let source = try SingleTokens(text, Sampler(options, seed: 0), choices: nil)
    _ = try source.begin(someTokens(6)) {}
    for _ in 0..<5 { _ = try source.proceed() }
    let norm = try #require(model.weights.tensors["model.norm.weight"])
    try withTorch { norm.fill(.nan) }
    #expect(
      message { for _ in 0..<3 { _ = try source.proceed() } }.hasSuffix(
        "tokens are not finite: the model's weights are broken"))
  }

  private func recorded(_ text: any RecordableText, _ device: StandInRecorder) -> RecordedSteps? {
    RecordedSteps([text], recorder: device.record)
  }
}
