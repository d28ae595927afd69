import Testing
import WidebandCheckedInput
import WidebandCheckpoint
import WidebandLanguageModel
import WidebandTorch

@testable import WidebandDecoding

private func model(_ name: String) throws -> LanguageModel {
  let folder = ModelFolder(Fixtures.url(name))
  let configuration = try ModelConfiguration(folder)
  // In float32, where parts and the whole agree to many digits.
  let weights = WeightStore(stored: try configuration.weights(in: folder), dtype: .float32, mutable: false)
  return try LanguageModel(configuration, weights: weights)
}

private func tokens(_ count: Int, below end: Int) -> [TokenID] {
  (0..<count).map { (index: Int) in TokenID((index * 37 + index * index * 11 + 5) % end) }
}

@Test(arguments: Fixtures.models, [[1], [12], [5, 1, 1, 4, 1], [2, 7, 3]])
func logitsInPartsAreThoseOfTheWhole(name: String, parts: [Int]) throws {
  let model = try model(name)
  let sequence = tokens(12, below: model.configuration.vocabularySize)
  let whole = try withTorch { model.logits(Tensor(sequence.map(Int64.init), shape: [1, 12])).select(0, 0) }
  let session = try DecodingSession(model)
  var end = 0
  while end < 12 {
    for size in parts where end < 12 {
      let logits = try session.prefill(Array(sequence[end..<(end + size)]))
      end += size
      let exact = try withTorch { whole.select(0, end - 1) }
      #expect(try relativeError(logits, exact) <= 2e-5, "after \(end) tokens")
    }
  }
  #expect(session.tokens == sequence)
}

@Test func aLongPromptIsReadInSeveralPasses() throws {
  let loaded = try Fixtures.loaded(contextLength: 1200)
  let sequence = tokens(1100, below: 3000)
  var passes = 0
  let logits = try DecodingSession(loaded.model).prefill(sequence) { passes += 1 }
  #expect(passes == 3)
  let whole = try DecodingSession(loaded.model, usesCache: false).prefill(sequence)
  #expect(try relativeError(logits, whole) <= 2e-5)
}

@Test func aTruncatedTextCanBeContinuedAnew() throws {
  let model = try model("models/width-1.5-mtp")
  let session = try DecodingSession(model)
  _ = try session.prefill([1, 2, 3, 4, 5, 6])
  session.truncate(to: 3)
  let logits = try session.prefill([9, 8])
  #expect(session.tokens == [1, 2, 3, 9, 8])
  let fresh = try DecodingSession(model).prefill([1, 2, 3, 9, 8])
  #expect(try relativeError(logits, fresh) <= 2e-5)
}

@Test func activationsOfHalfPrecisionAreKeptAsTheyAre() throws {
  let folder = ModelFolder(Fixtures.url("models/plain"))
  let model = try LanguageModel(
    ModelConfiguration(folder), weights: WeightStore(stored: folder.readTensors(), dtype: .bfloat16, mutable: false),
    computingIn: .bfloat16)
  let session = try DecodingSession(model)
  _ = try session.prefill([1, 2, 3])
  let logits = try session.append(4)
  let whole = try DecodingSession(model, usesCache: false).prefill([1, 2, 3, 4])
  #expect(logits.dtype == .float32)
  #expect(try relativeError(logits, whole) <= 0.02)
}

@Test(arguments: [true, false])
func impossibleTokensAreRefused(usesCache: Bool) throws {
  let session = try DecodingSession(try model("models/plain"), usesCache: usesCache)
  #expect(message { _ = try session.prefill([]) } == "no tokens to read: expected at least one")
  _ = try session.prefill([1, 2])
  #expect(
    message { _ = try session.prefill([3, 61]) }
      == "token id 61 at position 3: expected 0 to 60, as vocab_size is 61")
  #expect(
    message { _ = try session.prefill([-1]) } == "token id -1 at position 2: expected 0 to 60, as vocab_size is 61")
  #expect(
    message { _ = try session.prefill(Array(repeating: 1, count: 127)) }
      == "129 tokens exceed the model's context, which holds 128 (max_position_embeddings)")
  #expect(session.tokens == [1, 2])
}
