import WidebandLanguageModel
import WidebandTorch

/// The keys and values of one sequence in every layer, so that a new token costs the work of one position.
///
/// Each layer has one block of memory `[B, K, capacity, hd]` for keys and one for values. New positions are written in
/// place; a full block is replaced by one of twice the size, up to `maximumLength`.
public final class SequenceKVCache: KVCache {
  /// Positions at which doubling stops. An equal `capacity` at the start makes the size fixed.
  public let maximumLength: Int
  /// How keys and values are stored.
  public let format: KVCacheFormat

  private struct Layer {
    var block: KVCacheBlock?
    var length = 0
  }

  /// Changes whenever a block is replaced.
  private(set) var revision = 0

  private var initialCapacity: Int
  private var layers: [Layer]

  /// An empty cache; it allocates memory when the first positions arrive.
  ///
  /// - Parameter capacity: positions that it allocates at first.
  public init(layerCount: Int, capacity: Int = 64, maximumLength: Int, format: KVCacheFormat = .float32) {
    self.format = format
    layers = Array(repeating: Layer(), count: layerCount)
    initialCapacity = min(capacity, maximumLength)
    self.maximumLength = maximumLength
  }

  /// An empty cache for a model's layers and `extraLayers` others, in the model's default format unless one is given.
  convenience init(
    _ model: LanguageModel, extraLayers: Int = 0, format: KVCacheFormat? = nil, capacity: Int = 64
  ) {
    self.init(
      layerCount: model.configuration.layerCount + extraLayers, capacity: capacity,
      maximumLength: model.configuration.contextLength, format: format ?? KVCacheFormat(for: model))
  }

  /// S: positions that every layer holds.
  public var length: Int { layers.map(\.length).min() ?? 0 }

  /// Positions for which layers have memory.
  public var capacity: Int { layers.compactMap { $0.block?.capacity }.min() ?? 0 }

  /// Stores new keys and values `[B, T, K, hd]` of a layer, and returns the causal attention `[B, T, H, hd]` of queries
  /// `[B, T, H, hd]` at the same positions.
  public func attend(layer: Int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor {
    let all = extend(layer: layer, keys: keys.transposed(1, 2), values: values.transposed(1, 2))
    return .causalAttention(queries, all.keys.transposed(1, 2), all.values.transposed(1, 2))
  }

  /// Appends keys and values `[B, K, T, hd]` to a layer, and returns all of them as they are stored, `[B, K, S, hd]` in
  /// the dtype of the new ones.
  public func extend(layer: Int, keys: Tensor, values: Tensor) -> (keys: Tensor, values: Tensor) {
    // A failed operator returns a tensor without axes. `withTorch` throws its error; nothing is stored here.
    guard keys.rank == 4, values.rank == 4 else { return (keys, values) }
    let start = layers[layer].length
    let end = start + keys.size(2)
    let block = reserve(layer, end, [keys.size(0), keys.size(1), keys.size(3)], keys.dtype, on: keys.device)
    block.write(keys: keys, values: values, from: start)
    return block.read(end, as: keys.dtype)
  }

  /// Reserves memory for new positions of the sequence, which the caller writes.
  public func reservePositions(
    layer: Int, count: Int, heads: Int, headSize: Int, like activations: Tensor
  ) -> KVCacheViews {
    let start = layers[layer].length
    let block = reserve(layer, start + count, [1, heads, headSize], activations.dtype, on: activations.device)
    return KVCacheViews([block.view(from: start, count: count)])
  }

  /// A layer's block with `count` new positions from `start`, which `advance` counts; nil before it has memory.
  func view(layer: Int, from start: Int, count: Int) -> KVCacheView? {
    layers[layer].block?.view(from: start, count: count)
  }

  /// Sets the length of some layers.
  func advance(to length: Int, layers range: Range<Int>) {
    for layer in range { layers[layer].length = length }
  }

  /// Removes all positions from `length` on, so that another continuation can take their place.
  public func truncate(to length: Int) { truncate(to: length, layers: layers.indices) }

  /// Removes some layers' positions from `length` on.
  public func truncate(to length: Int, layers range: Range<Int>) {
    for layer in range { layers[layer].length = min(layers[layer].length, max(0, length)) }
  }

  /// Positions that a layer holds.
  public func length(layer: Int) -> Int { layers[layer].length }

  /// Removes everything but keeps the memory.
  public func reset() { truncate(to: 0) }

  /// Gives an empty cache the capacity for a sequence of `count` positions: smaller blocks are released, and the next
  /// positions allocate larger ones.
  func reserveCapacity(_ count: Int) {
    guard capacity < min(count, maximumLength), layers.allSatisfy({ $0.length == 0 }) else { return }
    initialCapacity = min(count, maximumLength)
    for index in layers.indices { layers[index].block = nil }
  }

  /// Copies of some positions of every layer.
  func snapshot(_ range: Range<Int>) -> KVSnapshot {
    KVSnapshot(blocks: layers.compactMap { $0.block?.copy(of: range) }, count: range.count)
  }

  /// Appends the positions of a snapshot of the same model and format.
  func append(_ snapshot: KVSnapshot) {
    for (index, block) in snapshot.blocks.enumerated() {
      let start = layers[index].length
      reserve(index, start + snapshot.count, block.rows, block.dtype, on: block.device)
        .copy(block, 0..<snapshot.count, to: start)
    }
  }

  /// The layer's block, or a larger one with the same content, with the layer's length set to `length`; `rows` are B, K
  /// and hd. A block that could not be allocated is not kept.
  private func reserve(
    _ index: Int, _ length: Int, _ rows: [Int], _ dtype: DType, on device: Device
  ) -> KVCacheBlock {
    let layer = layers[index]
    let dtype = format.dtype(of: dtype)
    if let block = layer.block, block.capacity >= length, layer.length > 0 || block.fits(rows[0], dtype, device) {
      layers[index].length = length
      return block
    }
    let doubled = layer.block.map { 2 * $0.capacity } ?? initialCapacity
    let capacity = max(length, min(doubled, maximumLength))
    let block = KVCacheBlock([rows[0], rows[1], capacity, rows[2]], dtype, on: device)
    // `withTorch` throws the error; the positions so far stay.
    guard block.isAllocated else { return block }
    if let old = layer.block { block.copy(old, 0..<layer.length) }
    layers[index] = Layer(block: block, length: length)
    revision += 1
    return block
  }
}

/// The keys and values of some positions of a sequence, apart from its cache.
package struct KVSnapshot {
  fileprivate let blocks: [KVCacheBlock]
  /// The number of positions.
  package let count: Int

  /// The memory that it takes.
  package var byteCount: Int { blocks.reduce(0) { $0 + $1.byteCount } }
}

/// The caches of several sequences whose new positions form one row.
final class BatchedKVCache: KVCache {
  private let segments: [(cache: SequenceKVCache, range: Range<Int>)]

  /// - Parameter sequences: each sequence's cache and the number of its new positions, in the order of the row.
  init(_ sequences: [(cache: SequenceKVCache, count: Int)]) {
    var end = 0
    segments = sequences.map { cache, count in
      defer { end += count }
      return (cache, end..<(end + count))
    }
  }

  func reservePositions(layer: Int, count _: Int, heads: Int, headSize: Int, like activations: Tensor) -> KVCacheViews {
    KVCacheViews(
      segments.flatMap { cache, range in
        cache.reservePositions(layer: layer, count: range.count, heads: heads, headSize: headSize, like: activations)
          .sequences
      })
  }

  func attend(layer: Int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor {
    let outputs = segments.map { cache, range in
      cache.attend(
        layer: layer, queries: queries.slice(1, range), keys: keys.slice(1, range), values: values.slice(1, range))
    }
    return outputs.count == 1 ? outputs[0] : .concatenate(outputs, axis: 1)
  }
}
