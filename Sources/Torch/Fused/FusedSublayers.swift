import WidebandCTorch

/// An attention sublayer's weights, for the kernel that runs it in one call for a few new positions over a KV cache.
public struct AttentionWeights {
  /// The weight of the input's norm, `[D]`, in float32.
  public let norm: Tensor
  /// The weights of the norms of a head's queries and keys, `[hd]`, in float32.
  public let headNorms: (query: Tensor, key: Tensor)
  /// W_q `[H hd, D]`, W_k and W_v `[K hd, D]`, W_o `[D, H hd]`.
  public let query, key, value, output: WeightMatrix
  /// Channels of a head.
  public let headSize: Int
  /// Added to every mean square.
  public let epsilon: Double
  /// The weights as the kernel takes them, checked once; their tensors must keep their memory. Nil without a kernel for
  /// them.
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
    guard let norm = norm.pointer, let queryNorm = headNorms.query.pointer, let keyNorm = headNorms.key.pointer,
      let queryMap = query.pointers, let keyMap = key.pointers, let valueMap = value.pointers,
      let outputMap = output.pointers
    else {
      handle = nil
      return
    }
    var layer = wb_attention_layer(
      heads: Int64(query.outputs / headSize), key_value_heads: Int64(key.outputs / headSize),
      head_size: Int64(headSize), epsilon: epsilon, norm: norm, query_norm: queryNorm, key_norm: keyNorm,
      query: queryMap, key: keyMap, value: valueMap, output: outputMap)
    handle = Handle(wb_attention_weights_create(&layer), release: wb_attention_weights_release)
  }

  /// Heads of keys and values.
  public var keyValueHeadCount: Int { key.outputs / headSize }
}

/// The KV cache of one layer of one sequence, and where its new positions are stored.
public struct KVCacheView {
  /// Keys and values, `[1, K, capacity, hd]` of float32, bfloat16 or int8; where they are int8 their scales
  /// `[1, K, capacity]` in float32.
  public let keys, values: Tensor
  let scales: (keys: Tensor, values: Tensor)?
  let start: Int
  let count: Int

  /// `count` new positions from `start`, after all earlier ones.
  public init(keys: Tensor, values: Tensor, scales: (keys: Tensor, values: Tensor)?, start: Int, count: Int) {
    self.keys = keys
    self.values = values
    self.scales = scales
    self.start = start
    self.count = count
  }

  fileprivate var pointers: wb_kv_view? {
    guard let keys = keys.pointer, let values = values.pointer else { return nil }
    return wb_kv_view(
      keys: keys, values: values, key_scales: scales?.keys.pointer, value_scales: scales?.values.pointer,
      start: Int64(start), rows: Int64(count))
  }
}

/// The KV caches of one layer of sequences whose new positions are concatenated.
public struct KVCacheViews {
  /// One view of each sequence, in order.
  public let sequences: [KVCacheView]
  let starts: Tensor?

  /// - Parameter starts: added to the start of each sequence when the kernels run, int64 `[sequences]` on a GPU; nil for
  ///   zero.
  public init(_ sequences: [KVCacheView], starts: Tensor? = nil) {
    self.sequences = sequences
    self.starts = starts
  }
}

/// A feed-forward sublayer's weights: one network, or a router and its experts.
public struct FeedForwardWeights {
  /// The router `[E, D]` in float32, the experts of each token, and whether their probabilities are made to sum to one.
  public typealias Routing = (router: Tensor, perToken: Int, isRenormalized: Bool)
  /// W_gate and W_up `[F, D]`, W_down `[D, F]`.
  public typealias Network = (gate: WeightMatrix, up: WeightMatrix, down: WeightMatrix)

  /// The weights as the kernel takes them, checked once; their tensors must keep their memory. Nil without a kernel for
  /// them.
  fileprivate let handle: Handle?
  fileprivate let description: String

  /// The weights of a sublayer; `networks` has one network, or with `routing` one an expert.
  public init(norm: Tensor, epsilon: Double, routing: Routing? = nil, networks: [Network]) {
    description = networks.first?.gate.description ?? ""
    let gates = networks.compactMap(\.gate.pointers)
    let ups = networks.compactMap(\.up.pointers)
    let downs = networks.compactMap(\.down.pointers)
    guard let norm = norm.pointer, [gates, ups, downs].allSatisfy({ $0.count == networks.count }) else {
      handle = nil
      return
    }
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
    handle = Handle(created, release: wb_feed_forward_release)
  }
}

/// Sublayers of a few new positions in one call each; nil where there is no kernel.
extension Tensor {
  /// The attention sublayer for T new positions x `[..., D]`, before its norm, of one or more concatenated sequences, added to
  /// x if `addsInput`; rotary tables are `[1, T, 1, hd]`. `sequences` is called only where there is a kernel, which stores the
  /// new keys and values in its caches.
  public func attentionSublayer(
    _ weights: AttentionWeights, rotary: (cos: Tensor, sin: Tensor), addsInput: Bool, in sequences: () -> KVCacheViews
  ) -> Tensor? {
    guard Kernels.selected == .fused, let pointer, let layer = weights.handle?.pointer,
      let cosine = rotary.cos.pointer, let sine = rotary.sin.pointer, wb_attention_sublayer_is_supported(pointer, layer)
    else { return nil }
    let caches = sequences()
    let views = caches.sequences.compactMap(\.pointers)
    return Tensor(
      result: wb_attention_sublayer(
        pointer, layer, views, Int64(views.count), cosine, sine, caches.starts?.pointer, addsInput),
      of: "attention_sublayer(\(dtype)\(shape), \(weights.query.description), \(views.count) sequences)")
  }

  /// The feed-forward sublayer for x `[..., D]`, before its norm; added to x if `addsInput`.
  public func feedForwardSublayer(_ weights: FeedForwardWeights, addsInput: Bool) -> Tensor? {
    guard Kernels.selected == .fused, let pointer, let layer = weights.handle?.pointer,
      wb_feed_forward_sublayer_is_supported(pointer, layer)
    else { return nil }
    return Tensor(
      result: wb_feed_forward_sublayer(pointer, layer, addsInput),
      of: "feed_forward_sublayer(\(dtype)\(shape), \(weights.description))")
  }
}
