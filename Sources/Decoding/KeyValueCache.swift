import LanguageModel
import Torch

/// The keys and values of every position that a model has seen, so that a new token costs one position's work.
///
/// Each layer has one block of memory `[B, K, capacity, hd]` for keys and one for values, in the dtype of the
/// activations. New positions are written in place and attention reads views; a full block is replaced by one of
/// twice the size, up to `maximumLength`.
public final class KeyValueCache: KeyValueMemory {
  /// Positions at which doubling stops. An equal `capacity` at the start makes the size fixed.
  public let maximumLength: Int

  private struct Block {
    var keys: Tensor
    var values: Tensor
  }

  private struct Layer {
    var block: Block?
    var length = 0
  }

  private let initialCapacity: Int
  private var layers: [Layer]

  /// An empty cache; it takes memory when the first positions arrive.
  public init(layerCount: Int, capacity: Int = 64, maximumLength: Int) {
    layers = Array(repeating: Layer(), count: layerCount)
    initialCapacity = min(capacity, maximumLength)
    self.maximumLength = maximumLength
  }

  /// S: positions that every layer holds.
  public var length: Int { layers.map(\.length).min() ?? 0 }

  /// Positions for which layers have memory.
  public var capacity: Int { layers.compactMap { $0.block?.keys.size(2) }.min() ?? 0 }

  /// What queries find among a layer's keys and values, the new ones included.
  public func attend(layer: Int, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor?) -> Tensor {
    let all = extend(layer: layer, keys: keys, values: values)
    return .attention(queries, all.keys, all.values, mask: mask)
  }

  /// Stores new keys and values `[B, K, T, hd]` of a layer behind those that it has, and gives back views of all of
  /// them, `[B, K, S, hd]`.
  public func extend(layer: Int, keys: Tensor, values: Tensor) -> (keys: Tensor, values: Tensor) {
    // The result of a failed operator has no axes: its error is on record, and nothing of it belongs in the cache.
    guard keys.rank == 4, values.rank == 4 else { return (keys, values) }
    let start = layers[layer].length
    let end = start + keys.size(2)
    let block = block(for: end, of: layers[layer], like: keys)
    block.keys.slice(2, start..<end).copy(from: keys)
    block.values.slice(2, start..<end).copy(from: values)
    layers[layer] = Layer(block: block, length: end)
    return (block.keys.slice(2, 0..<end), block.values.slice(2, 0..<end))
  }

  /// Forgets all positions from `length` on, so that another continuation can take their place.
  public func truncate(to length: Int) { truncate(to: length, layers: layers.indices) }

  /// Forgets some layers' positions from `length` on.
  public func truncate(to length: Int, layers range: Range<Int>) {
    for layer in range { layers[layer].length = min(layers[layer].length, max(0, length)) }
  }

  /// Positions that a layer holds.
  public func length(layer: Int) -> Int { layers[layer].length }

  /// Forgets everything but keeps the memory.
  public func reset() { truncate(to: 0) }

  /// The layer's block, or a larger one with the same content.
  private func block(for length: Int, of layer: Layer, like new: Tensor) -> Block {
    if let block = layer.block, block.keys.size(2) >= length, layer.length > 0 || Self.fits(block, new) {
      return block
    }
    let doubled = layer.block.map { 2 * $0.keys.size(2) } ?? initialCapacity
    let capacity = max(length, min(doubled, maximumLength))
    let shape = [new.size(0), new.size(1), capacity, new.size(3)]
    let block = Block(
      keys: .zeros(shape, new.dtype, on: new.device), values: .zeros(shape, new.dtype, on: new.device))
    if layer.length > 0, let old = layer.block {
      block.keys.slice(2, 0..<layer.length).copy(from: old.keys.slice(2, 0..<layer.length))
      block.values.slice(2, 0..<layer.length).copy(from: old.values.slice(2, 0..<layer.length))
    }
    return block
  }

  /// Whether an empty block left from before suits new rows `[B, K, T, hd]`.
  private static func fits(_ block: Block, _ new: Tensor) -> Bool {
    block.keys.size(0) == new.size(0) && block.keys.dtype == new.dtype && block.keys.device == new.device
  }
}
