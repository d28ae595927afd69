import WidebandLanguageModel
import WidebandTorch

/// How a cache stores keys and values.
public enum KVCacheFormat: String, Sendable, CaseIterable {
  /// Not rounded: in the dtype of the activations, which is float32 or, for a model that computes in it, bfloat16.
  case float32
  /// Rounded to bfloat16.
  case bfloat16
  /// Integers from -127 to 127, with one float32 scale for a head's channels at one position.
  case int8

  /// The default for a model: float32 for weights of float32, and bfloat16 for smaller ones.
  public init(for model: LanguageModel) {
    let weights = model.weights.tensors["model.embed_tokens.weight"]?.dtype ?? .float32
    self = weights.isFloatingPoint && weights.size >= 4 ? .float32 : .bfloat16
  }

  /// The bytes of the keys or the values of a head at one position, in a model that computes in float32.
  ///
  /// - Parameter channels: hd, the channels of a head.
  public func bytes(channels: Int) -> Int {
    switch self {
    case .float32: 4 * channels
    case .bfloat16: 2 * channels
    case .int8: channels + 4
    }
  }

  /// The dtype in which keys and values are stored.
  func dtype(of activations: DType) -> DType {
    switch self {
    case .float32: activations
    case .bfloat16: .bfloat16
    case .int8: .int8
    }
  }
}

/// Memory for the keys and values of one layer.
struct KVCacheBlock {
  private let keys, values: Storage

  /// - Parameters:
  ///   - shape: `[B, K, capacity, hd]`.
  ///   - dtype: int8 for quantized values with scales.
  init(_ shape: [Int], _ dtype: DType, on device: Device) {
    keys = Storage(shape, dtype, on: device)
    values = Storage(shape, dtype, on: device)
  }

  /// Whether there was enough memory: a failed operator returns a tensor without axes.
  var isAllocated: Bool { keys.isAllocated && values.isAllocated }

  /// Positions that there is memory for.
  var capacity: Int { keys.elements.size(2) }

  /// Whether an empty block can take rows of a batch size, dtype and device.
  func fits(_ batch: Int, _ dtype: DType, _ device: Device) -> Bool {
    let elements = keys.elements
    return elements.size(0) == batch && elements.dtype == dtype && elements.device == device
  }

  /// The block as kernels take it, with `count` new positions from `start`.
  func view(from start: Int, count: Int) -> KVCacheView {
    let scales = keys.scales.flatMap { keys in values.scales.map { (keys: keys, values: $0) } }
    return KVCacheView(keys: keys.elements, values: values.elements, scales: scales, start: start, count: count)
  }

  /// Writes keys and values `[B, K, T, hd]` at the positions from `start` on.
  func write(keys newKeys: Tensor, values newValues: Tensor, from start: Int) {
    keys.write(newKeys, from: start)
    values.write(newValues, from: start)
  }

  /// Keys and values of the first `count` positions, `[B, K, count, hd]` each.
  func read(_ count: Int, as dtype: DType) -> (keys: Tensor, values: Tensor) {
    (keys.read(count, as: dtype), values.read(count, as: dtype))
  }

  /// Copies some positions of another block to the positions from `start` on.
  func copy(_ other: KVCacheBlock, _ range: Range<Int>, to start: Int = 0) {
    keys.copy(other.keys, range, to: start)
    values.copy(other.values, range, to: start)
  }

  /// A block of its own with some positions.
  func copy(of range: Range<Int>) -> KVCacheBlock {
    let elements = keys.elements
    let shape = [elements.size(0), elements.size(1), range.count, elements.size(3)]
    let block = KVCacheBlock(shape, elements.dtype, on: elements.device)
    block.copy(self, range)
    return block
  }

  /// B, K and hd.
  var rows: [Int] { [keys.elements.size(0), keys.elements.size(1), keys.elements.size(3)] }
  var dtype: DType { keys.elements.dtype }
  var device: Device { keys.elements.device }
  var byteCount: Int { keys.byteCount + values.byteCount }
}

/// Keys or values of one layer.
private struct Storage {
  /// `[B, K, capacity, hd]`.
  let elements: Tensor
  /// `[B, K, capacity]` for quantized values.
  let scales: Tensor?

  init(_ shape: [Int], _ dtype: DType, on device: Device) {
    elements = .zeros(shape, dtype, on: device)
    scales = dtype == .int8 ? .zeros(Array(shape.dropLast()), .float32, on: device) : nil
  }

  var isAllocated: Bool { elements.rank == 4 && (scales?.rank ?? 3) == 3 }

  func write(_ new: Tensor, from start: Int) {
    let range = start..<(start + new.size(2))
    guard let scales else { return elements.slice(2, range).copy(from: new) }
    let scale = new.to(.float32).abs().max(-1, keep: true) * (1.0 / 127)
    let divisor = Tensor.where(scale .< 1e-37, .ones([1], on: new.device), scale)
    elements.slice(2, range).copy(from: (new.to(.float32) / divisor).rounded())
    scales.slice(2, range).copy(from: scale.squeezed(-1))
  }

  func read(_ count: Int, as dtype: DType) -> Tensor {
    let stored = elements.slice(2, 0..<count)
    guard let scales else { return stored.to(dtype) }
    return (stored.to(.float32) * scales.slice(2, 0..<count).unsqueezed(-1)).to(dtype)
  }

  func copy(_ other: Storage, _ range: Range<Int>, to start: Int) {
    guard !range.isEmpty else { return }
    let target = start..<(start + range.count)
    elements.slice(2, target).copy(from: other.elements.slice(2, range))
    if let scales, let old = other.scales { scales.slice(2, target).copy(from: old.slice(2, range)) }
  }

  var byteCount: Int { elements.count * elements.dtype.size + (scales.map { $0.count * $0.dtype.size } ?? 0) }
}
