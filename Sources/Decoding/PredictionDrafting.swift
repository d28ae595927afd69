import LanguageModel
import Torch

/// Drafts by multi-token prediction.
///
/// Depth k takes the state of the depth before it and the token k+1 places on, which it knows from the text or from the
/// drafts, and proposes the one behind. Its layer has keys and values of its own. Those of the last places were made
/// with drafts that may have been wrong, so they are made again with the next proposal; a depth therefore works on the
/// tokens accepted since, and on as many before them as there are further depths.
final class PredictionDrafting: DraftingText {
  private let model: LanguageModel
  private let session: DecodingSession
  private let depth: Int
  /// Keys and values of the depths' layers, which follow the model's own.
  private let cache: KeyValueCache
  /// States after the last layer, `[1, T, n, C]`, of the last places that were read.
  private var states: Tensor?

  /// Places of one pass through a depth, as many as a pass of the model reads.
  private static let passLength = 512

  init(_ model: LanguageModel, keyValueForm: KeyValueCache.Form? = nil, capacity: Int = 64) throws {
    guard let prediction = model.configuration.multiTokenPrediction else {
      throw GenerationError("multi_token_prediction is missing: expected a model with prediction depths to draft with")
    }
    self.model = model
    session = DecodingSession(model, keyValueForm: keyValueForm, capacity: capacity)
    depth = prediction.depth
    cache = KeyValueCache(model, more: depth, form: keyValueForm, capacity: capacity)
  }

  var tokens: [Int] { session.tokens }
  var limit: Int { depth }

  func read(_ prompt: [Int], check: () throws -> Void) throws -> Tensor {
    var last: Tensor?
    try session.advance(prompt, check: check) { states in
      take(states)
      last = states.slice(1, (states.size(1) - 1)...)
    }
    return try model.passing(1) { last.map { model.logits(of: $0).flattened() } ?? .zeros([0]) }
  }

  func verify(_ new: [Int]) throws -> Tensor {
    var logits = Tensor.zeros([0])
    try session.advance(new, check: {}) { states in
      take(states)
      logits = model.logits(of: states).squeezed(0)
    }
    return logits
  }

  private func take(_ new: Tensor) { states = states.map { .concatenate([$0, new], axis: 1) } ?? new }

  func keep(_ count: Int) {
    let forgotten = session.tokens.count - count
    states = states.map { $0.slice(1, 0..<max(0, $0.size(1) - forgotten)) }
    session.truncate(to: count)
  }

  func propose(_ count: Int, after next: Int, draw: (Tensor, [Draft]) throws -> Draft) throws -> [Draft] {
    guard count > 0, var state = states else { return [] }
    let end = session.tokens.count
    let places = (end - state.size(1))..<end
    var drafts: [Draft] = []
    for k in 0..<count {
      let known = (session.tokens + [next] + drafts.map(\.token))[(places.lowerBound + k + 1)..<(end + k + 1)]
      let logits = try model.passing(places.count) {
        state = try run(depth: k, from: state, knowing: Array(known), at: places)
        return model.deeperLogits(k, of: state.slice(1, (state.size(1) - 1)...)).flattened()
      }
      drafts.append(try draw(logits, drafts))
    }
    let kept = max(0, min(state.size(1), depth - 1))
    states = kept > 0 ? states?.slice(1, (state.size(1) - kept)...) : nil
    return drafts
  }

  /// The states of a depth at consecutive places, whose keys and values take the place of earlier ones.
  private func run(depth k: Int, from state: Tensor, knowing known: [Int], at places: Range<Int>) throws -> Tensor {
    let device = model.weights.device
    let layer = model.configuration.layerCount + k
    cache.truncate(to: places.lowerBound, layers: layer..<(layer + 1))
    let parts = stride(from: 0, to: places.count, by: Self.passLength).map { start in
      let part = start..<min(places.count, start + Self.passLength)
      let end = places.lowerBound + part.upperBound
      let positions = Tensor.range((places.lowerBound + start)..<end, on: device)
      let pass = Pass(positions: positions, configuration: model.configuration, memory: cache)
      let tokens = Tensor(known[part].map(Int64.init), shape: [1, part.count], on: device)
      return model.deeperState(k, from: state.slice(1, part), knowing: tokens, in: pass)
    }
    return .concatenate(parts, axis: 1)
  }
}
