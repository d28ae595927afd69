import WidebandTorch
import WidebandVirtualWidth

/// What all layers share during one forward pass: positions, mask, KV cache and gate, and what the layers
/// collect.
public final class ForwardContext {
  /// cos and sin of the rotary angles, `[1 or B, T, 1, hd]` each.
  let rotary: (cos: Tensor, sin: Tensor)
  /// Integer positions `[T]` or `[B, T]`.
  let positions: Tensor
  /// The tokens before each token, `[B, T, reach]`, the last one first and -1 where there is none, for tables of
  /// n-grams; nil when the pass contains all positions.
  public var previousTokens: Tensor?
  /// The rows `[B, T, K, D]` of the tokens' n-grams, once they are looked up.
  var memory: Tensor?
  /// The KV cache of earlier positions; nil when the pass contains all positions.
  let cache: (any KVCache)?
  /// `[B or 1, 1, T, T]`, true where a query attends to a key; nil for causal attention.
  let mask: Tensor?
  /// The gate of direct decoding; nil for the ordinary model.
  public let gate: CycleGate?
  /// `[B, T]`, true at padding, which is left out of the routers' statistics; nil without padding.
  let padding: Tensor?
  /// The router logits `[B·T, E]` of each mixture-of-experts layer that has run.
  public internal(set) var routerLogits: [Tensor] = []
  /// The number of tokens routed to each expert, `[E]`, of each mixture-of-experts layer that has run.
  public internal(set) var expertLoads: [Tensor] = []
  /// Whether layers use activation checkpointing: they store their input alone, and the backward pass recomputes the
  /// rest.
  public var recomputesLayers = false
  /// Called before each connection with its input state.
  public var observer: ((any HyperConnection, Tensor) -> Void)?

  /// The context of tokens at the given positions.
  ///
  /// - Parameters:
  ///   - positions: integer positions `[T]` or `[B, T]`.
  ///   - configuration: the model's configuration, which determines the rotary frequencies.
  ///   - cache: the KV cache of earlier positions, which the pass extends.
  ///   - gate: the gate of direct decoding; nil for the ordinary model.
  public convenience init(
    positions: Tensor, configuration: ModelConfiguration, cache: (any KVCache)? = nil, gate: CycleGate? = nil
  ) {
    self.init(positions: positions, configuration: configuration, cache: cache, mask: nil, padding: nil, gate: gate)
  }

  /// The context of complete sequences of `length` tokens, from position 0.
  public convenience init(
    length: Int, configuration: ModelConfiguration, gate: CycleGate? = nil, on device: Device = .cpu
  ) {
    self.init(positions: .range(0..<length, on: device), configuration: configuration, gate: gate)
  }

  /// The context of packed rows: several documents share a row, and tokens attend to their own document alone.
  ///
  /// - Parameters:
  ///   - positions: integer positions `[B, T]`, from 0 in every document.
  ///   - documents: the index of each token's document in its row, `[B, T]`; -1 at padding.
  ///   - configuration: the model's configuration.
  ///   - gate: the gate of direct decoding; nil for the ordinary model.
  public convenience init(
    positions: Tensor, documents: Tensor, configuration: ModelConfiguration, gate: CycleGate? = nil
  ) {
    let order = Tensor.range(0..<documents.size(1), on: documents.device)
    let isLater = order.unsqueezed(1) .< order.unsqueezed(0)
    let isSame = documents.unsqueezed(2) .== documents.unsqueezed(1)
    self.init(
      positions: positions, configuration: configuration, cache: nil,
      mask: isSame.maskedFill(isLater, 0).unsqueezed(1), padding: documents .< 0, gate: gate)
  }

  /// A context of the same tokens that has collected nothing yet.
  init(like other: ForwardContext) {
    rotary = other.rotary
    positions = other.positions
    cache = other.cache
    mask = other.mask
    padding = other.padding
    gate = other.gate
  }

  private init(
    positions: Tensor, configuration: ModelConfiguration, cache: (any KVCache)?, mask: Tensor?,
    padding: Tensor?, gate: CycleGate?
  ) {
    rotary = Rotary.tables(positions, headSize: configuration.headSize, theta: configuration.ropeTheta)
    self.positions = positions
    self.cache = cache
    self.mask = mask
    self.padding = padding
    self.gate = gate
  }
}
