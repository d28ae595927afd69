import WidebandCheckedInput
import WidebandLanguageModel
import WidebandTorch

/// Drafts by multi-token prediction.
///
/// Depth k takes the state of the depth before it and the token k+1 positions ahead, known from the sequence or from
/// the drafts, and predicts the token after that. Its layer has keys and values of its own. Those of the last positions
/// were computed with drafts that may have been rejected, so the next proposal computes them again: a depth processes
/// the tokens accepted since, and before them as many positions as there are further depths.
final class PredictionDrafter: Drafter {
  private let model: LanguageModel
  private let session: DecodingSession
  private let depth: Int
  /// Keys and values of the depths' layers, which follow the model's own.
  private let cache: SequenceKVCache
  /// States after the last layer, `[1, T, n, C]`, of the last positions that the model has processed.
  private var states: Tensor?

  init(_ model: LanguageModel, cacheFormat: KVCacheFormat? = nil, capacity: Int = 64) throws {
    guard let prediction = model.configuration.multiTokenPrediction else {
      throw GenerationError.invalidOption(
        "multi_token_prediction is missing: expected a model with prediction depths to draft with")
    }
    self.model = model
    session = try DecodingSession(model, cacheFormat: cacheFormat, capacity: capacity)
    depth = prediction.depth
    cache = SequenceKVCache(model, extraLayers: depth, format: cacheFormat, capacity: capacity)
  }

  var tokens: [TokenID] { session.tokens }
  var limit: Int { depth }

  func prefill(_ prompt: [TokenID], check: () throws -> Void) throws -> Tensor {
    var last: Tensor?
    try session.advance(prompt, check: check) { states, _ in
      appendStates(states)
      last = states.slice(1, (states.size(1) - 1)...)
    }
    return try model.inference(1) { last.map { model.logits(of: $0).flattened() } ?? .zeros([0]) }
  }

  func verify(_ new: [TokenID]) throws -> Tensor {
    var logits = Tensor.zeros([0])
    try session.advance(new) { states, _ in
      appendStates(states)
      logits = model.logits(of: states).squeezed(0)
    }
    return logits
  }

  private func appendStates(_ new: Tensor) { states = states.map { .concatenate([$0, new], axis: 1) } ?? new }

  func truncate(to count: Int) {
    let remaining = (states?.size(1) ?? 0) - (session.tokens.count - count)
    states = remaining > 0 ? states?.slice(1, 0..<remaining) : nil
    session.truncate(to: count)
  }

  func propose(_ count: Int, after next: TokenID, sample: (Tensor, [Draft]) throws -> Draft) throws -> [Draft] {
    guard count > 0, var state = states else { return [] }
    let end = session.tokens.count
    let positions = (end - state.size(1))..<end
    var drafts: [Draft] = []
    for k in 0..<count {
      let known = (session.tokens + [next] + drafts.map(\.token))[(positions.lowerBound + k + 1)..<(end + k + 1)]
      let logits = try model.inference(positions.count) {
        state = try run(depth: k, from: state, knowing: Array(known), at: positions)
        return model.mtpLogits(k, of: state.slice(1, (state.size(1) - 1)...)).flattened()
      }
      drafts.append(try sample(logits, drafts))
    }
    let remaining = max(0, min(state.size(1), depth - 1))
    states = remaining > 0 ? states?.slice(1, (state.size(1) - remaining)...) : nil
    return drafts
  }

  /// The states of a depth at consecutive positions, whose keys and values replace earlier ones.
  private func run(
    depth k: Int, from state: Tensor, knowing known: [TokenID], at positions: Range<Int>
  ) throws -> Tensor {
    let device = model.weights.device
    let layer = model.configuration.layerCount + k
    cache.truncate(to: positions.lowerBound, layers: layer..<(layer + 1))
    let length = DecodePass.maximumLength
    let parts = stride(from: 0, to: positions.count, by: length).map { start in
      let part = start..<min(positions.count, start + length)
      let end = positions.lowerBound + part.upperBound
      let positions = Tensor.range((positions.lowerBound + start)..<end, on: device)
      let context = ForwardContext(positions: positions, configuration: model.configuration, cache: cache)
      let tokens = Tensor(known[part].map(Int64.init), shape: [1, part.count], on: device)
      return model.mtpState(k, from: state.slice(1, part), knowing: tokens, in: context)
    }
    return .concatenate(parts, axis: 1)
  }
}
