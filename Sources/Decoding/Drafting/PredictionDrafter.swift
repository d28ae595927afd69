import WidebandCheckedInput
import WidebandLanguageModel
import WidebandTorch

/// Drafts by multi-token prediction.
///
/// Depth k takes the state of the depth before it and the token k+1 positions ahead, known from the sequence or from
/// the drafts, and predicts the token after that. Its layer has keys and values of its own. Those of the last positions
/// were computed with drafts that may have been rejected, so the next proposal computes them again: a depth processes
/// the tokens accepted since, and before them as many positions as there are further depths.
///
/// Drafts need not follow every position: after positions whose states were not kept, the depths attend from there on.
final class PredictionDrafter: Drafter {
  private let model: LanguageModel
  let session: DecodingSession
  private let depth: Int
  /// Keys and values of the depths' layers, which follow the model's own.
  private let cache: SequenceKVCache
  /// The position of the first keys and values.
  private var start = 0

  init(_ model: LanguageModel, cacheFormat: KVCacheFormat? = nil, capacity: Int = 64) throws {
    guard let prediction = model.configuration.multiTokenPrediction else {
      throw GenerationError.invalidOption(
        "multi_token_prediction is missing: expected a model with prediction depths to draft with")
    }
    self.model = model
    session = try DecodingSession(model, cacheFormat: cacheFormat, capacity: capacity, keepsStates: true)
    depth = prediction.depth
    cache = SequenceKVCache(model, extraLayers: depth, format: cacheFormat, capacity: capacity)
  }

  var limit: Int { depth }

  func truncate(to count: Int) {
    session.truncate(to: count)
    cache.truncate(to: count - start)
  }

  func reserveCapacity(_ count: Int) {
    session.reserveCapacity(count)
    cache.reserveCapacity(count)
  }

  func propose(_ count: Int, after next: TokenID, sample: (Tensor, [TokenID]) throws -> TokenID) throws -> [TokenID] {
    guard count > 0, var state = session.states else { return [] }
    let end = session.tokens.count
    let positions = (end - state.size(1))..<end
    if positions.lowerBound > start + cache.length(layer: model.configuration.layerCount) {
      cache.reset()
      start = positions.lowerBound
    }
    var drafts: [TokenID] = []
    for k in 0..<count {
      let known = (session.tokens + [next] + drafts)[(positions.lowerBound + k + 1)..<(end + k + 1)]
      let logits = try model.inference(positions.count) {
        state = try run(depth: k, from: state, knowing: Array(known), at: positions)
        return model.mtpLogits(k, of: state.slice(1, (state.size(1) - 1)...)).flattened()
      }
      drafts.append(try sample(logits, drafts))
    }
    session.keepStates(max(0, min(state.size(1), depth - 1)))
    return drafts
  }

  /// The states of a depth at consecutive positions, whose keys and values replace earlier ones.
  private func run(
    depth k: Int, from state: Tensor, knowing known: [TokenID], at positions: Range<Int>
  ) throws -> Tensor {
    let device = model.weights.device
    let layer = model.configuration.layerCount + k
    cache.truncate(to: positions.lowerBound - start, layers: layer..<(layer + 1))
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
