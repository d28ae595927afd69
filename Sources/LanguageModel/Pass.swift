import Torch
import VirtualWidth

/// What all layers of one forward pass share: where the tokens stand, and what is collected on the way.
public final class Pass {
  /// cos and sin of the rotary angles, `[1 or B, T, 1, hd]` each.
  let rotary: (cos: Tensor, sin: Tensor)
  /// Keys and values of earlier calls; nil when the pass sees the whole text.
  let memory: (any KeyValueMemory)?
  /// True where a query may look, when "up to itself" does not say it.
  let mask: Tensor?
  /// Which tokens are cycle heads, when the model decodes directly; nil for the ordinary model.
  public let gate: CycleGate?
  /// True where rows have no text, `[B, T]`: what is there counts in no statistics of the routers. Nil where all is
  /// text.
  let padding: Tensor?
  /// The router's logits `[tokens, E]` of each mixture-of-experts layer that has run.
  public internal(set) var routerLogits: [Tensor] = []
  /// Tokens that each expert was sent, `[E]`, of each mixture-of-experts layer that has run.
  public internal(set) var expertLoads: [Tensor] = []
  /// Whether layers keep their input alone and are computed again in the backward pass, which saves memory.
  public var recomputesLayers = false
  /// Called before each connection with the state that enters it.
  public var observer: ((any Connection, Tensor) -> Void)?

  /// A pass over tokens at the given positions.
  ///
  /// - Parameters:
  ///   - positions: integer positions `[T]` or `[B, T]`.
  ///   - configuration: the model's, for the rotary frequencies.
  ///   - memory: keys and values of earlier positions, which this pass extends.
  ///   - gate: which tokens are cycle heads; nil for the ordinary model.
  public convenience init(
    positions: Tensor, configuration: ModelConfiguration, memory: (any KeyValueMemory)? = nil, gate: CycleGate? = nil
  ) {
    self.init(positions: positions, configuration: configuration, memory: memory, mask: nil, padding: nil, gate: gate)
  }

  /// - Parameters:
  ///   - mask: broadcastable to `[B, 1, T, T]`, true where a query may look at a key; nil for causal order.
  ///   - padding: `[B, T]`, true where rows have no text.
  init(
    positions: Tensor, configuration: ModelConfiguration, memory: (any KeyValueMemory)?, mask: Tensor?,
    padding: Tensor?, gate: CycleGate?
  ) {
    rotary = Rotary.tables(positions, headSize: configuration.headSize, theta: configuration.ropeTheta)
    self.memory = memory
    self.mask = mask
    self.padding = padding
    self.gate = gate
  }

  /// A pass over the same tokens that has collected nothing yet.
  init(like other: Pass) {
    rotary = other.rotary
    memory = other.memory
    mask = other.mask
    padding = other.padding
    gate = other.gate
  }

  /// A pass over whole rows of `length` tokens that start at position 0.
  public convenience init(
    length: Int, configuration: ModelConfiguration, gate: CycleGate? = nil, on device: Device = .cpu
  ) {
    self.init(positions: .range(0..<length, on: device), configuration: configuration, gate: gate)
  }
}

/// Keeps the keys and values of the positions that have been seen, layer by layer.
public protocol KeyValueMemory: AnyObject {
  /// Makes room for `count` new positions of a layer with K = `heads` heads of hd = `headSize` channels, and counts them
  /// as kept; who asks writes them. One entry a text, in their order in the pass. `activations` are what keys and values
  /// are computed from, on their device and in their type.
  func extended(layer: Int, by count: Int, heads: Int, headSize: Int, like activations: Tensor) -> KeptTexts

  /// Stores new keys and values `[B, T, K, hd]` of a layer behind what it holds, and gives what queries `[B, T, H, hd]`
  /// of the same positions find among all up to their own: `[B, T, H, hd]`.
  func attend(layer: Int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor
}

/// Rotary position embedding: pairs of channels turned by angles that grow with the position.
enum Rotary {
  /// cos and sin `[1 or B, T, 1, hd]` in float32, for integer positions `[T]` or `[B, T]`; the two halves repeat.
  ///
  /// Angles are formed in float64: at large positions float32 would lose the fraction of a turn.
  static func tables(_ positions: Tensor, headSize: Int, theta: Double) -> (cos: Tensor, sin: Tensor) {
    if let few = Tensor.fusedRotaryTables(positions, headSize: headSize, theta: theta) { return few }
    let steps = Tensor.range(0..<headSize, by: 2, .float64, on: positions.device)
    let frequencies = Tensor.power(theta, steps * (-1 / Double(headSize)))
    let rows = positions.rank == 1 ? positions.unsqueezed(0) : positions
    let half = rows.to(.float64).unsqueezed(-1) * frequencies
    let angles = Tensor.concatenate([half, half], axis: -1).unsqueezed(2)
    return (angles.cos().to(.float32), angles.sin().to(.float32))
  }

  /// x `[B, T, H, hd]` turned by the angles of its positions.
  static func turn(_ x: Tensor, _ tables: (cos: Tensor, sin: Tensor)) -> Tensor {
    let half = x.size(-1) / 2
    let turned = Tensor.concatenate([-x.slice(-1, half...), x.slice(-1, 0..<half)], axis: -1)
    return x * tables.cos.to(x.dtype) + turned * tables.sin.to(x.dtype)
  }
}
