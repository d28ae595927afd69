import Torch
import VirtualWidth

/// One transformer layer: attention and feed-forward, each behind its own norm and inside its own connection.
struct Layer {
  private let attentionConnection: any Connection
  private let attention: Attention
  private let feedConnection: any Connection
  private let feed: any FeedForward

  /// The layer whose weights lie in `scope`.
  ///
  /// - Parameters:
  ///   - index: the layer's place in the model, which decides whether it has experts.
  ///   - memoryIndex: the place of its keys and values in a memory.
  init(
    _ configuration: ModelConfiguration, index: Int, memoryIndex: Int, start: InitialValues, in scope: Scope
  ) throws {
    let D = configuration.hiddenSize
    attentionConnection = try Self.connection(configuration, in: scope["attention_connection"])
    attention = try Attention(
      configuration, norm: scope["input_layernorm"].precise("weight", [D], .ones), layer: memoryIndex, start: start,
      in: scope["self_attn"])
    feedConnection = try Self.connection(configuration, in: scope["mlp_connection"])
    let norm = try scope["post_attention_layernorm"].precise("weight", [D], .ones)
    if let experts = configuration.experts, configuration.hasExperts(layer: index) {
      feed = try MixtureOfExperts(
        experts, norm: norm, epsilon: configuration.normEpsilon, start: start, in: scope["mlp"])
    } else {
      feed = try DenseFeedForward(configuration, norm: norm, start: start, in: scope["mlp"])
    }
  }

  private static func connection(_ configuration: ModelConfiguration, in scope: Scope) throws -> any Connection {
    guard let width = configuration.virtualWidth else { return Residual() }
    return try GeneralizedHyperConnection(
      width, slotWidth: width.slotWidth(hiddenSize: configuration.hiddenSize), epsilon: configuration.normEpsilon,
      in: scope)
  }

  /// The state `[B, T, n, C]` after this layer.
  func callAsFunction(_ state: consuming State, in pass: Pass) -> State {
    guard pass.recomputesLayers else { return computed(state, in: pass) }
    let results = state.tensor.recomputing { state in
      let inner = Pass(like: pass)
      let after = computed(State(state), in: inner).tensor
      return [after] + inner.routerLogits + inner.expertLoads
    }
    if results.count == 3 {
      pass.routerLogits.append(results[1])
      pass.expertLoads.append(results[2])
    }
    return State(results.first ?? state.tensor)
  }

  private func computed(_ state: consuming State, in pass: Pass) -> State {
    pass.observer?(attentionConnection, state.tensor)
    let attended = attentionConnection(
      state, adding: { attention.step($0, addsInput: true, in: pass) }, around: { attention($0, in: pass) })
    pass.observer?(feedConnection, attended.tensor)
    return feedConnection(
      attended, adding: { feed.step($0, addsInput: true, in: pass) }, around: { feed($0, in: pass) })
  }
}
