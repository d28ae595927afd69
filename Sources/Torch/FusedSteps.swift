import CTorch

/// An attention sublayer's weights, for the kernel that runs it in one call where a few new positions meet the keys and
/// values of earlier ones.
public struct AttentionWeights {
  /// What the input is normalised with, `[D]`, in float32.
  public let norm: Tensor
  /// The norms of a head's queries and keys, `[hd]`, in float32.
  public let headNorms: (query: Tensor, key: Tensor)
  /// W_q `[H hd, D]`, W_k and W_v `[K hd, D]`, W_o `[D, H hd]`.
  public let query, key, value, output: WeightMatrix
  /// Channels of a head.
  public let headSize: Int
  /// What is added to every mean square.
  public let epsilon: Double
  /// Nil where there is no kernel for the weights.
  fileprivate let handle: Handle?

  /// The weights of a sublayer.
  public init(
    norm: Tensor, headNorms: (query: Tensor, key: Tensor), query: WeightMatrix, key: WeightMatrix, value: WeightMatrix,
    output: WeightMatrix, headSize: Int, epsilon: Double
  ) {
    self.norm = norm
    self.headNorms = headNorms
    self.query = query
    self.key = key
    self.value = value
    self.output = output
    self.headSize = headSize
    self.epsilon = epsilon
    handle = Handle(
      norm, headNorms, [query, key, value, output], headSize: headSize, epsilon: epsilon)
  }

  /// Heads whose keys and values are kept.
  public var keyValueHeadCount: Int { key.outputs / headSize }

  /// The weights as the kernel takes them, checked once; they must stay where they are.
  fileprivate final class Handle {
    let pointer: OpaquePointer

    init?(
      _ norm: Tensor, _ headNorms: (query: Tensor, key: Tensor), _ matrices: [WeightMatrix], headSize: Int,
      epsilon: Double
    ) {
      let pointers = matrices.compactMap(\.pointers)
      guard let norm = norm.pointer, let queryNorm = headNorms.query.pointer, let keyNorm = headNorms.key.pointer,
        pointers.count == 4
      else { return nil }
      var layer = wb_attention_layer(
        heads: Int64(matrices[0].outputs / headSize), key_value_heads: Int64(matrices[1].outputs / headSize),
        head_size: Int64(headSize), epsilon: epsilon, norm: norm, query_norm: queryNorm, key_norm: keyNorm,
        query: pointers[0], key: pointers[1], value: pointers[2], output: pointers[3])
      guard let created = wb_attention_weights_create(&layer) else { return nil }
      pointer = created
    }

    deinit { wb_attention_weights_release(pointer) }
  }
}

/// One layer's keys and values of one text, and where new positions of it stand.
public struct KeptText {
  /// Keys and values, `[1, K, capacity, hd]` of float32, bfloat16 or int8; where they are int8 their scales
  /// `[1, K, capacity]` in float32.
  public let keys, values: Tensor
  let scales: (keys: Tensor, values: Tensor)?
  let start: Int
  let count: Int

  /// `count` new positions from `start`, behind all that is kept.
  public init(keys: Tensor, values: Tensor, scales: (keys: Tensor, values: Tensor)?, start: Int, count: Int) {
    self.keys = keys
    self.values = values
    self.scales = scales
    self.start = start
    self.count = count
  }

  fileprivate var pointers: wb_memory? {
    guard let keys = keys.pointer, let values = values.pointer else { return nil }
    return wb_memory(
      keys: keys, values: values, key_scales: scales?.keys.pointer, value_scales: scales?.values.pointer,
      start: Int64(start), rows: Int64(count))
  }
}

/// One layer's keys and values of texts whose new positions stand side by side.
public struct KeptTexts {
  /// The texts in their order.
  public let texts: [KeptText]
  let starts: Tensor?

  /// - Parameter starts: how much further on each text's new positions begin when the step runs, int64 `[texts]` on a GPU;
  ///   nil for not at all.
  public init(_ texts: [KeptText], starts: Tensor? = nil) {
    self.texts = texts
    self.starts = starts
  }
}

/// A feed-forward sublayer's weights: of one network, or of a router and its experts.
public struct FeedForwardWeights {
  /// The router `[E, D]` in float32, the experts of each token, and whether their probabilities are made to sum to one.
  public typealias Routing = (router: Tensor, perToken: Int, isRenormalized: Bool)
  /// W_gate and W_up `[F, D]`, W_down `[D, F]`.
  public typealias Network = (gate: WeightMatrix, up: WeightMatrix, down: WeightMatrix)

  /// The weights as the kernel takes them, checked once; they must stay where they are.
  fileprivate final class Handle {
    let pointer: OpaquePointer

    init?(_ norm: Tensor, _ epsilon: Double, _ routing: Routing?, _ networks: [Network]) {
      let gates = networks.compactMap(\.gate.pointers)
      let ups = networks.compactMap(\.up.pointers)
      let downs = networks.compactMap(\.down.pointers)
      guard let norm = norm.pointer, [gates, ups, downs].allSatisfy({ $0.count == networks.count }) else { return nil }
      let created = gates.withUnsafeBufferPointer { gates in
        ups.withUnsafeBufferPointer { ups in
          downs.withUnsafeBufferPointer { downs in
            var layer = wb_feed_forward_layer(
              epsilon: epsilon, norm: norm, router: routing?.router.pointer, experts: Int64(networks.count),
              chosen: Int64(routing?.perToken ?? 1), renormalizes: routing?.isRenormalized ?? false,
              gate: gates.baseAddress, up: ups.baseAddress, down: downs.baseAddress)
            return wb_feed_forward_create(&layer)
          }
        }
      }
      guard let created else { return nil }
      pointer = created
    }

    deinit { wb_feed_forward_release(pointer) }
  }

  /// Nil where there is no kernel for the weights.
  fileprivate let handle: Handle?
  fileprivate let description: String

  /// The weights of a sublayer; `networks` has one network, or with `routing` one an expert.
  public init(norm: Tensor, epsilon: Double, routing: Routing? = nil, networks: [Network]) {
    handle = Handle(norm, epsilon, routing, networks)
    description = networks.first?.gate.description ?? ""
  }
}

/// Sublayers of a few new positions in one call each; nil where there is no kernel for them.
extension Tensor {
  /// What attention makes of T new positions x `[..., D]`, not yet normalised, of one or more texts that stand side by
  /// side, added to x if `addsInput`; rotary tables are `[1, T, 1, hd]`. `texts` is asked where there is a kernel alone;
  /// new keys and values are written to what it gives.
  public func attentionStep(
    _ weights: AttentionWeights, rotary: (cos: Tensor, sin: Tensor), addsInput: Bool, in texts: () -> KeptTexts
  ) -> Tensor? {
    guard Kernels.selected == .fused, let pointer, let layer = weights.handle?.pointer,
      let cosine = rotary.cos.pointer, let sine = rotary.sin.pointer, wb_attention_step_is_supported(pointer, layer)
    else { return nil }
    let kept = texts()
    let memories = kept.texts.compactMap(\.pointers)
    return Tensor(
      result: wb_attention_step(
        pointer, layer, memories, Int64(memories.count), cosine, sine, kept.starts?.pointer, addsInput),
      of: "attention_step(\(dtype)\(shape), \(weights.query.description), \(memories.count) texts)")
  }

  /// What a feed-forward sublayer makes of x `[..., D]`, not yet normalised; added to x if `addsInput`.
  public func feedForwardStep(_ weights: FeedForwardWeights, addsInput: Bool) -> Tensor? {
    guard Kernels.selected == .fused, let pointer, let layer = weights.handle?.pointer,
      wb_feed_forward_step_is_supported(pointer, layer)
    else { return nil }
    return Tensor(
      result: wb_feed_forward_step(pointer, layer, addsInput),
      of: "feed_forward_step(\(dtype)\(shape), \(weights.description))")
  }
}
