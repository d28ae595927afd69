import WidebandTorch
import WidebandVirtualWidth

/// One transformer layer: attention and feed-forward, each with its own norm and its own connection.
struct Layer {
  /// The sublayers in their order, each with the connection that reads its input and writes its output.
  let sublayers: [(connection: any HyperConnection, sublayer: any Sublayer)]

  /// The layer with its weights in `scope`.
  ///
  /// - Parameters:
  ///   - index: the layer's index in the model, which decides whether it has experts and which slots it reads at first.
  ///   - cacheIndex: the index of its keys and values in a KV cache.
  init(
    _ configuration: ModelConfiguration, index: Int, cacheIndex: Int, start: InitialValues, in scope: Scope
  ) throws {
    let D = configuration.hiddenSize
    func connection(_ name: String) throws -> any HyperConnection {
      guard let width = configuration.virtualWidth else { return Residual() }
      return try GeneralizedHyperConnection(
        width, slotWidth: width.slotWidth(hiddenSize: D), epsilon: configuration.normEpsilon, start: start,
        layer: index,
        in: scope[name])
    }
    let attentionConnection = try connection("attention_connection")
    let attention = try Attention(
      configuration, norm: scope["input_layernorm"].float32Tensor("weight", [D], .ones), layer: cacheIndex,
      start: start, in: scope["self_attn"])
    let feedForwardConnection = try connection("mlp_connection")
    let norm = try scope["post_attention_layernorm"].float32Tensor("weight", [D], .ones)
    let feedForward: any Sublayer
    if let experts = configuration.experts, configuration.hasExperts(layer: index) {
      feedForward = try MixtureOfExperts(
        experts, norm: norm, epsilon: configuration.normEpsilon, start: start, in: scope["mlp"])
    } else {
      feedForward = try DenseFeedForward(configuration, norm: norm, start: start, in: scope["mlp"])
    }
    sublayers = [(attentionConnection, attention), (feedForwardConnection, feedForward)]
  }

  /// The state `[B, T, n, C]` after this layer.
  func callAsFunction(_ state: consuming State, in context: ForwardContext) -> State {
    guard context.recomputesLayers else { return computed(state, in: context) }
    let results = state.tensor.recomputing { state in
      let inner = ForwardContext(like: context)
      let after = computed(State(state), in: inner).tensor
      return [after] + inner.routerLogits + inner.expertLoads
    }
    if results.count == 3 {
      context.routerLogits.append(results[1])
      context.expertLoads.append(results[2])
    }
    return State(results.first ?? state.tensor)
  }

  private func computed(_ state: consuming State, in context: ForwardContext) -> State {
    for (connection, sublayer) in sublayers {
      context.observer?(connection, state.tensor)
      state = Self.apply(connection, around: sublayer, to: consume state, in: context)
    }
    return state
  }

  private static func apply(
    _ connection: any HyperConnection, around sublayer: any Sublayer, to state: consuming State,
    in context: ForwardContext
  ) -> State {
    // The decoding kernel of a sublayer adds its input itself: x + T(x) in one call.
    if connection is Residual, let sum = sublayer.step(state.tensor, addsInput: true, in: context) { return State(sum) }
    return connection(state) { sublayer($0, in: context) }
  }
}

/// A sublayer of width D with its norm: attention or feed-forward.
protocol Sublayer {
  /// T(x) `[B, T, D]` for x `[B, T, D]`, not yet normalized.
  func callAsFunction(_ x: Tensor, in context: ForwardContext) -> Tensor
  /// The same in one kernel call for the few new positions of a decoding step, x `[1, T, …]`, plus x if `addsInput`; nil
  /// without a kernel for it.
  func step(_ x: Tensor, addsInput: Bool, in context: ForwardContext) -> Tensor?
}
