import Torch
import VirtualWidth

/// One transformer layer: attention and feed-forward, each behind its own norm and inside its own connection.
struct Layer {
  private let attentionConnection: any Connection
  private let attentionNorm: Tensor
  private let attention: Attention
  private let feedConnection: any Connection
  private let feedNorm: Tensor
  private let feed: any FeedForward
  private let epsilon: Double

  /// The layer whose weights lie in `scope`.
  ///
  /// - Parameters:
  ///   - index: the layer's place in the model, which decides whether it has experts.
  ///   - memoryIndex: the place of its keys and values in a memory.
  init(
    _ configuration: ModelConfiguration, index: Int, memoryIndex: Int, start: InitialValues, in scope: Scope
  ) throws {
    let D = configuration.hiddenSize
    epsilon = configuration.normEpsilon
    attentionConnection = try Self.connection(configuration, in: scope["attention_connection"])
    attentionNorm = try scope["input_layernorm"].tensor("weight", [D], .ones)
    attention = try Attention(
      configuration, layer: memoryIndex, start: start, in: scope["self_attn"])
    feedConnection = try Self.connection(configuration, in: scope["mlp_connection"])
    feedNorm = try scope["post_attention_layernorm"].tensor("weight", [D], .ones)
    if let experts = configuration.experts, configuration.hasExperts(layer: index) {
      feed = try MixtureOfExperts(experts, hiddenSize: D, start: start, in: scope["mlp"])
    } else {
      feed = try SwiGLU(
        hiddenSize: D, intermediateSize: configuration.intermediateSize, start: start, in: scope["mlp"])
    }
  }

  private static func connection(_ configuration: ModelConfiguration, in scope: Scope) throws -> any Connection {
    guard let width = configuration.virtualWidth else { return Residual() }
    return try GeneralizedHyperConnection(
      width, slotWidth: width.slotWidth(hiddenSize: configuration.hiddenSize), epsilon: configuration.normEpsilon,
      in: scope)
  }

  /// The state `[B, T, n, C]` after this layer.
  func callAsFunction(_ state: State, in pass: Pass) -> State {
    pass.observer?(attentionConnection, state.tensor)
    let attended = attentionConnection(state) { x in
      attention(x.rmsNorm(attentionNorm, epsilon: epsilon), in: pass)
    }
    pass.observer?(feedConnection, attended.tensor)
    return feedConnection(attended) { x in feed(x.rmsNorm(feedNorm, epsilon: epsilon), in: pass) }
  }
}
