import LanguageModel
import Torch

/// The keys and values of every position that a model has seen, so that a new token costs one position's work.
///
/// Each layer has one block of memory `[B, K, capacity, hd]` for keys and one for values, in the form that the cache is
/// made for. New positions are written in place; a full block is replaced by one of twice the size, up to
/// `maximumLength`.
public final class KeyValueCache: KeyValueMemory {
  /// Positions at which doubling stops. An equal `capacity` at the start makes the size fixed.
  public let maximumLength: Int

  /// How keys and values are kept.
  public enum Form: String, Sendable, CaseIterable {
    /// As they are computed, in the dtype of the activations.
    case float32
    /// Rounded to 16 bits.
    case bfloat16
    /// Whole numbers from -127 to 127, a head's channels of one position under one float32 scale.
    case int8

    fileprivate func dtype(of activations: DType) -> DType {
      switch self {
      case .float32: activations
      case .bfloat16: .bfloat16
      case .int8: .int8
      }
    }
  }

  /// How keys and values are kept.
  public let form: Form

  private struct Block {
    var keys: Stored
    var values: Stored

    func text(from start: Int, count: Int) -> KeptText {
      let scales = keys.scales.flatMap { keys in values.scales.map { (keys: keys, values: $0) } }
      return KeptText(keys: keys.numbers, values: values.numbers, scales: scales, start: start, count: count)
    }
  }

  private struct Layer {
    var block: Block?
    var length = 0
  }

  /// Changes whenever a block takes another's place.
  private(set) var revision = 0

  private var initialCapacity: Int
  private var layers: [Layer]

  /// An empty cache; it takes memory when the first positions arrive.
  ///
  /// - Parameter capacity: positions that it takes memory for at first.
  public init(layerCount: Int, capacity: Int = 64, maximumLength: Int, form: Form = .float32) {
    self.form = form
    layers = Array(repeating: Layer(), count: layerCount)
    initialCapacity = min(capacity, maximumLength)
    self.maximumLength = maximumLength
  }

  /// An empty cache for a model's layers and `more` others, in the given form or the one that suits its weights:
  /// float32 for weights of float32, bfloat16 for smaller ones.
  convenience init(_ model: LanguageModel, more: Int = 0, form: Form? = nil, capacity: Int = 64) {
    let embedding = model.weights.tensors["model.embed_tokens.weight"]?.dtype ?? .float32
    let isSmall = !embedding.isFloatingPoint || embedding.size < 4
    self.init(
      layerCount: model.configuration.layerCount + more, capacity: capacity,
      maximumLength: model.configuration.contextLength, form: form ?? (isSmall ? .bfloat16 : .float32))
  }

  /// S: positions that every layer holds.
  public var length: Int { layers.map(\.length).min() ?? 0 }

  /// Positions for which layers have memory.
  public var capacity: Int { layers.compactMap { $0.block?.keys.capacity }.min() ?? 0 }

  /// What queries find among a layer's keys and values up to their own positions, the new ones included.
  public func attend(layer: Int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor {
    let all = extend(layer: layer, keys: keys.transposed(1, 2), values: values.transposed(1, 2))
    return .causalAttention(queries, all.keys.transposed(1, 2), all.values.transposed(1, 2))
  }

  /// Stores new keys and values `[B, K, T, hd]` of a layer behind those that it has, and gives back all of them as they
  /// are kept, `[B, K, S, hd]` in the dtype of the new ones.
  public func extend(layer: Int, keys: Tensor, values: Tensor) -> (keys: Tensor, values: Tensor) {
    // The result of a failed operator has no axes: its error is on record, and nothing of it belongs in the cache.
    guard keys.rank == 4, values.rank == 4 else { return (keys, values) }
    let start = layers[layer].length
    let end = start + keys.size(2)
    let block = reserve(layer, end, [keys.size(0), keys.size(1), keys.size(3)], keys.dtype, on: keys.device)
    block.keys.write(keys, from: start)
    block.values.write(values, from: start)
    return (block.keys.read(end, as: keys.dtype), block.values.read(end, as: values.dtype))
  }

  /// Room for new positions of one text, which the caller writes.
  public func extended(
    layer: Int, by count: Int, heads: Int, headSize: Int, like activations: Tensor
  ) -> KeptTexts {
    let start = layers[layer].length
    let block = reserve(layer, start + count, [1, heads, headSize], activations.dtype, on: activations.device)
    return KeptTexts([block.text(from: start, count: count)])
  }

  /// A layer's block for `count` new positions from `start`, which are counted by `advance`; nil before it has memory.
  func kept(layer: Int, from start: Int, count: Int) -> KeptText? {
    layers[layer].block?.text(from: start, count: count)
  }

  /// Counts some layers' positions up to `length` as kept.
  func advance(to length: Int, layers range: Range<Int>) {
    for layer in range { layers[layer].length = length }
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

  /// Prepares an empty cache for a text of at most `count` positions: if it has memory for less, it takes new memory.
  func expect(_ count: Int) {
    guard capacity < min(count, maximumLength), layers.allSatisfy({ $0.length == 0 }) else { return }
    initialCapacity = min(count, maximumLength)
    for index in layers.indices { layers[index].block = nil }
  }

  /// The layer's block, or a larger one with the same content, in which `length` positions count as kept; `rows` are
  /// B, K and hd.
  private func reserve(_ index: Int, _ length: Int, _ rows: [Int], _ dtype: DType, on device: Device) -> Block {
    let layer = layers[index]
    let dtype = form.dtype(of: dtype)
    if let block = layer.block, block.keys.capacity >= length,
      layer.length > 0 || block.keys.fits(rows[0], dtype, device)
    {
      layers[index].length = length
      return block
    }
    let doubled = layer.block.map { 2 * $0.keys.capacity } ?? initialCapacity
    let capacity = max(length, min(doubled, maximumLength))
    let shape = [rows[0], rows[1], capacity, rows[2]]
    let block = Block(keys: Stored(shape, dtype, on: device), values: Stored(shape, dtype, on: device))
    if let old = layer.block {
      block.keys.copy(old.keys, layer.length)
      block.values.copy(old.values, layer.length)
    }
    layers[index] = Layer(block: block, length: length)
    revision += 1
    return block
  }
}

/// Keys or values of one layer, as they are kept.
private struct Stored {
  /// `[B, K, capacity, hd]`.
  let numbers: Tensor
  /// `[B, K, capacity]` for whole numbers.
  let scales: Tensor?

  init(_ shape: [Int], _ dtype: DType, on device: Device) {
    numbers = .zeros(shape, dtype, on: device)
    scales = dtype == .int8 ? .zeros(Array(shape.dropLast()), .float32, on: device) : nil
  }

  var capacity: Int { numbers.size(2) }

  /// Whether memory that holds nothing yet suits new rows.
  func fits(_ batch: Int, _ dtype: DType, _ device: Device) -> Bool {
    numbers.size(0) == batch && numbers.dtype == dtype && numbers.device == device
  }

  /// Writes `[B, K, T, hd]` at the positions from `start` on.
  func write(_ new: Tensor, from start: Int) {
    let range = start..<(start + new.size(2))
    guard let scales else { return numbers.slice(2, range).copy(from: new) }
    let scale = new.to(.float32).abs().max(-1, keep: true) * (1.0 / 127)
    let divisor = Tensor.choose(scale .< 1e-37, .ones([1], on: new.device), scale)
    numbers.slice(2, range).copy(from: (new.to(.float32) / divisor).rounded())
    scales.slice(2, range).copy(from: scale.squeezed(-1))
  }

  /// The first `count` positions as floats, `[B, K, count, hd]`.
  func read(_ count: Int, as dtype: DType) -> Tensor {
    let kept = numbers.slice(2, 0..<count)
    guard let scales else { return kept.to(dtype) }
    return (kept.to(.float32) * scales.slice(2, 0..<count).unsqueezed(-1)).to(dtype)
  }

  /// Takes over the first `count` positions of another.
  func copy(_ other: Stored, _ count: Int) {
    guard count > 0 else { return }
    numbers.slice(2, 0..<count).copy(from: other.numbers.slice(2, 0..<count))
    if let scales, let old = other.scales { scales.slice(2, 0..<count).copy(from: old.slice(2, 0..<count)) }
  }
}
