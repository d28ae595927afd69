import Foundation
import TestSupport
import WidebandCheckedInput
import WidebandDecoding
import WidebandLanguageModel
import WidebandServing
import WidebandTokenization
import WidebandTorch
import WidebandVirtualWidth

/// A small wide model with random weights, tuned for cycles of 4, with two prediction depths, for all tokens of the
/// fixture tokenizer.
func smallModel() throws -> LoadedModel {
  let tokenizer = try Tokenizer(contentsOf: Fixtures.url("tokenizers/qwen/tokenizer.json"))
  var configuration = ModelConfiguration(
    vocabularySize: tokenizer.vocabularySize, hiddenSize: 16, layerCount: 3, headCount: 4, intermediateSize: 32)
  configuration.keyValueHeadCount = 2
  configuration.contextLength = 1024
  configuration.virtualWidth = VirtualWidth(fractionRate: 2, slots: 4)
  configuration.multiTokenPrediction = .init(depth: 2)
  configuration.directDecoding = .init(encodingLayers: 1, decodingLayers: 1, cycle: 4, gate: .add)
  return LoadedModel(
    model: try LanguageModel(configuration, weights: WeightStore(seed: 3)), tokenizer: tokenizer, endOfTextTokens: [])
}

/// Everything that a sequence yields.
struct Collected: Equatable {
  var text = ""
  var tokens: [TokenID] = []
  var logprobs: [TokenLogprob] = []
  var promptLogprobs: [TokenLogprob] = []
  var cachedTokens = 0
  var reason: FinishedSequence.Reason?
  var generatedTokens = 0
}

func collect(_ stream: AsyncThrowingStream<SequenceEvent, any Error>) async throws -> Collected {
  var result = Collected()
  for try await event in stream {
    switch event {
    case .started(let cachedTokens, let logprobs):
      (result.cachedTokens, result.promptLogprobs) = (cachedTokens, logprobs)
    case .text(let text, let tokens, let logprobs):
      result.text += text
      result.tokens += tokens
      result.logprobs += logprobs
    case .finished(let finished): (result.reason, result.generatedTokens) = (finished.reason, finished.generatedTokens)
    }
  }
  return result
}

extension ServingEngine {
  func answer(_ request: SequenceRequest) async throws -> Collected { try await collect(submit([request]).events[0]) }
}

/// A request with a random prompt.
func request(_ number: Int, promptTokens: Int, maximumTokens: Int = 12) -> SequenceRequest {
  var state = UInt64(number) &* 0x9E37_79B9_7F4A_7C15 &+ 1
  let prompt = (0..<promptTokens).map { _ -> TokenID in
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return TokenID((state >> 33) % 250)
  }
  return SequenceRequest(prompt: prompt, maximumTokens: maximumTokens, seed: UInt64(number))
}
