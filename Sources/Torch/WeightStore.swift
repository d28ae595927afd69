import CheckedInput
import OrderedCollections

/// A model's weights by name: what is initialised, loaded, optimised, saved and counted.
///
/// Modules are plain structs that ask a `Scope` of the store for their tensors. Whether a tensor is made afresh or
/// comes from a checkpoint is the store's business alone.
public final class WeightStore {
  /// Every tensor that a module has asked for, in the order of asking.
  public private(set) var tensors: OrderedDictionary<String, Tensor> = [:]
  /// Where the weights lie.
  public let device: Device
  /// What is trained beside matrices that stay as they are; nil for nothing.
  public let adapters: LowRankAdapters?

  /// Every linear map's weight by name. `tensors` has what it is made of: of a quantised one, its numbers under its name
  /// and its scales under that and `_scale`.
  public private(set) var matrices: OrderedDictionary<String, WeightMatrix> = [:]

  private let source: Source
  /// What was read from a checkpoint. What is quantised on the way in leaves it, so that the source is not kept.
  private var stored: [String: Tensor] = [:]
  private let scheme: QuantizationScheme?

  private enum Source {
    case seed(UInt64, dtype: DType)
    case stored(dtype: DType?, mutable: Bool)
  }

  /// Fresh weights.
  ///
  /// Each tensor's random numbers depend on the seed and its own name only, so that two models that differ in one
  /// part start from the same values everywhere else.
  ///
  /// - Parameters:
  ///   - dtype: the type that each tensor is kept in, once it has been made in float32.
  ///   - scheme: how matrices are quantised; nil to keep them as floats.
  public init(
    seed: UInt64, dtype: DType = .float32, on device: Device = .cpu, quantizing scheme: QuantizationScheme? = nil
  ) {
    source = .seed(seed, dtype: dtype)
    self.device = device
    self.scheme = scheme
    adapters = nil
  }

  /// Weights from a checkpoint.
  ///
  /// - Parameters:
  ///   - tensors: what was read, by name.
  ///   - dtype: the type to convert floats to; nil keeps each tensor's own.
  ///   - mutable: whether the weights will be written to. If not, they may share memory with the file.
  ///   - scheme: how matrices are quantised, one by one as they are asked for; nil to keep them as they are. Nothing of
  ///     what was read is kept then, so that a mapped file is let go.
  ///   - adapters: what is trained beside them.
  public init(
    stored tensors: [String: Tensor], dtype: DType? = nil, mutable: Bool, on device: Device = .cpu,
    quantizing scheme: QuantizationScheme? = nil, adapters: LowRankAdapters? = nil
  ) {
    source = .stored(dtype: dtype, mutable: mutable)
    stored = tensors
    self.device = device
    self.scheme = scheme
    self.adapters = adapters
  }

  /// The scope from which all names are given in full.
  public var root: Scope { Scope(store: self, path: "") }

  /// The number of weights, however they are packed.
  public var parameterCount: Int {
    let scales = Set(matrices.filter { $0.value.scales != nil }.keys.map(WeightMatrix.scalesName(of:)))
    return tensors.reduce(0) { count, entry in
      if scales.contains(entry.key) { return count }
      return count + (matrices[entry.key]?.count ?? entry.value.count)
    }
  }

  /// Bytes of all weights as they lie in memory.
  public var byteCount: Int { tensors.values.reduce(0) { $0 + $1.count * $1.dtype.size } }

  /// Fails if the checkpoint held a tensor that no module has asked for.
  public func requireNothingLeft() throws {
    try adapters?.weights.requireNothingLeft()
    let left = stored.keys.filter { tensors[$0] == nil }.sorted()
    guard let first = left.first else { return }
    let others = left.count > 1 ? " (and \(left.count - 1) more)" : ""
    throw TorchError("unexpected tensor \(quoted(first))\(others): the configuration has no place for it")
  }

  func tensor(_ name: String, _ shape: [Int], _ initial: InitialValue) throws -> Tensor {
    if let tensor = tensors[name] { return tensor }
    let tensor =
      switch source {
      case .seed(let seed, let dtype):
        try initial.tensor(shape, seed: Self.mix(seed, name)).to(dtype).to(device)
      case .stored(let dtype, let mutable):
        try load(name, shape, dtype, isShared: !mutable && scheme == nil)
      }
    if scheme != nil { stored[name] = nil }
    tensors[name] = tensor
    return tensor
  }

  func matrix(_ name: String, _ outputs: Int, _ inputs: Int, _ initial: InitialValue) throws -> WeightMatrix {
    if let matrix = matrices[name] { return matrix }
    var matrix =
      if let quantized = try loadQuantized(name, outputs, inputs) {
        quantized
      } else if let scheme {
        try quantized(name, [outputs, inputs], initial, scheme)
      } else {
        WeightMatrix(try tensor(name, [outputs, inputs], initial))
      }
    matrix.adapter = try adapters?.adapter(of: name, outputs, inputs)
    matrices[name] = matrix
    tensors[name] = matrix.values
    if let scales = matrix.scales { tensors[WeightMatrix.scalesName(of: name)] = scales }
    return matrix
  }

  /// A matrix that is quantised on its way in, from the checkpoint's own type.
  private func quantized(
    _ name: String, _ shape: [Int], _ initial: InitialValue, _ scheme: QuantizationScheme
  ) throws -> WeightMatrix {
    let floats =
      if case .stored = source { try load(name, shape, nil, isShared: true) } else { try tensor(name, shape, initial) }
    defer { stored[name] = nil }
    do { return try WeightMatrix(floats).quantized(scheme) } catch { throw TorchError("tensor '\(name)' \(error)") }
  }

  /// A matrix that the checkpoint holds in whole numbers; nil if it does not.
  private func loadQuantized(_ name: String, _ outputs: Int, _ inputs: Int) throws -> WeightMatrix? {
    guard case .stored(_, let mutable) = source, let values = stored[name],
      let found = QuantizationScheme(values.dtype)
    else { return nil }
    let scalesName = WeightMatrix.scalesName(of: name)
    guard !mutable else {
      throw TorchError("tensor '\(name)' is quantised (\(found)): expected floats, which alone have derivatives")
    }
    guard scheme == nil else { throw TorchError("tensor '\(name)' is quantised already (\(found))") }
    guard let scales = stored[scalesName] else {
      throw TorchError("missing tensor '\(scalesName)': '\(name)' has dtype \(values.dtype), which needs scales")
    }
    guard scales.dtype == .bfloat16 else {
      throw TorchError("tensor '\(scalesName)' has dtype \(scales.dtype): expected bfloat16")
    }
    let shapes = (found.valuesShape(outputs, inputs), found.scalesShape(outputs, inputs))
    for (name, tensor, shape) in [(name, values, shapes.0), (scalesName, scales, shapes.1)] where tensor.shape != shape
    {
      throw TorchError(
        "tensor '\(name)' has shape \(tensor.shape): a weight of [\(outputs), \(inputs)] in \(found) has \(shape)")
    }
    return try withTorch { WeightMatrix(values.to(device), scales: scales.to(device), inputs: inputs) }
  }

  /// A tensor of the checkpoint; one that is not shared has memory of its own.
  private func load(_ name: String, _ shape: [Int], _ dtype: DType?, isShared: Bool) throws -> Tensor {
    guard let found = stored[name] else {
      throw TorchError("missing tensor '\(name)': the configuration expects it with shape \(shape)")
    }
    guard found.shape == shape else {
      throw TorchError("tensor '\(name)' has shape \(found.shape): the configuration expects \(shape)")
    }
    guard found.dtype.isFloatingPoint else {
      throw TorchError("tensor '\(name)' has dtype \(found.dtype): expected float32, float64, bfloat16 or float16")
    }
    return try withTorch {
      let placed = found.to(dtype ?? found.dtype).to(device)
      let isSame = (dtype ?? found.dtype) == found.dtype && device == found.device
      return isSame && !isShared ? placed.cloned() : placed
    }
  }

  /// A seed for one name: FNV-1a over the name, started from the store's seed.
  private static func mix(_ seed: UInt64, _ name: String) -> UInt64 {
    var hash = 0xcbf2_9ce4_8422_2325 ^ (seed &* 0x9e37_79b9_7f4a_7c15)
    for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return hash
  }
}

/// A place in a weight store's tree of names.
///
///     let scope = store.root["model"]["layers"][3]["self_attn"]
///     let query = try scope.tensor("q_proj.weight", [H * hd, D], .normal(0.02))
public struct Scope {
  /// The store that holds the tensors.
  public let store: WeightStore
  /// The names so far, each followed by a dot.
  public let path: String

  /// The scope below this one with the given name.
  public subscript(name: String) -> Scope { Scope(store: store, path: path + name + ".") }

  /// The scope of one of several alike.
  public subscript(index: Int) -> Scope { self[String(index)] }

  /// The tensor of this name: made, loaded, or the one that was asked for before.
  ///
  /// - Throws: `TorchError` if a checkpoint lacks it or holds it with another shape or an integer type.
  public func tensor(_ name: String, _ shape: [Int], _ initial: InitialValue) throws -> Tensor {
    try store.tensor(path + name, shape, initial)
  }

  /// The same in at least float32: norms, routers and connection coefficients are computed in nothing less. Where the
  /// store keeps no less it is the store's own tensor.
  public func precise(_ name: String, _ shape: [Int], _ initial: InitialValue) throws -> Tensor {
    let tensor = try store.tensor(path + name, shape, initial)
    return try withTorch { tensor.dtype.size < 4 ? tensor.to(.float32) : tensor }
  }
}

/// How a fresh weight begins.
public enum InitialValue {
  /// All zero.
  case zeros
  /// All one.
  case ones
  /// Independent normal numbers around zero with this standard deviation.
  case normal(Double)
  /// Computed from a generator of the tensor's own.
  case computed((Generator) -> Tensor)

  func tensor(_ shape: [Int], seed: UInt64) throws -> Tensor {
    let generator = try Generator(seed: seed)
    return try withTorch {
      switch self {
      case .zeros: .zeros(shape)
      case .ones: .ones(shape)
      case .normal(let deviation): .normal(shape, standardDeviation: deviation, from: generator)
      case .computed(let make): make(generator)
      }
    }
  }
}
