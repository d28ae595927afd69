import OrderedCollections
import WidebandCheckedInput

/// A model's weights by name, as they are initialized, loaded, optimized, saved and counted.
///
/// Modules are structs that request their tensors from a `Scope` of the store. The store initializes them or takes them
/// from a checkpoint.
///
/// A store is not Sendable: requests change it, and its tensors are shared with the modules.
public final class WeightStore {
  /// All tensors that modules have requested, in the order of the requests.
  public private(set) var tensors: OrderedDictionary<String, Tensor> = [:]
  /// The device of the weights.
  public let device: Device
  /// The LoRA adapters of the matrices, if any.
  public let adapters: LowRankAdapters?

  /// The weights of all linear maps by name. `tensors` contains their parts: of a quantized matrix, the quantized
  /// values under its name and the scales under its name and `_scale`.
  public private(set) var matrices: OrderedDictionary<String, WeightMatrix> = [:]

  private let source: Source
  /// The tensors of the checkpoint. A tensor that the store quantizes is removed, so that its memory is released.
  private var stored: [String: Tensor] = [:]
  private let scheme: QuantizationScheme?

  private enum Source {
    case seed(UInt64, dtype: DType)
    case stored(dtype: DType?, mutable: Bool)
  }

  /// A store that initializes weights at random.
  ///
  /// A tensor's values depend on the seed and its name alone, so that two models that differ in one part start from the
  /// same values everywhere else.
  ///
  /// - Parameters:
  ///   - seed: the seed of all initial values.
  ///   - dtype: the dtype that tensors are converted to after they are initialized in float32.
  ///   - device: the device of the weights.
  ///   - scheme: the quantization of matrices; nil for floats.
  public init(
    seed: UInt64, dtype: DType = .float32, on device: Device = .cpu, quantizing scheme: QuantizationScheme? = nil
  ) {
    source = .seed(seed, dtype: dtype)
    self.device = device
    self.scheme = scheme
    adapters = nil
  }

  /// A store of a checkpoint's weights.
  ///
  /// - Parameters:
  ///   - tensors: the tensors of the checkpoint by name.
  ///   - dtype: the dtype to convert floats to; nil to leave each tensor's dtype unchanged.
  ///   - mutable: whether the weights will be written to. If not, they may share memory with the file.
  ///   - device: the device of the weights.
  ///   - scheme: the quantization of matrices, applied as each is requested; nil to leave them unchanged. The store
  ///     then retains none of the given tensors, so that a mapped file is released.
  ///   - adapters: the LoRA adapters of the matrices, if any.
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

  /// The scope with an empty path.
  public var root: Scope { Scope(store: self, path: "") }

  /// The number of weights, however they are packed.
  public var parameterCount: Int {
    let scales = scaleNames
    return tensors.reduce(0) { count, entry in
      scales.contains(entry.key) ? count : count + (matrices[entry.key]?.count ?? entry.value.count)
    }
  }

  /// The names of the scales of quantized matrices.
  var scaleNames: Set<String> {
    Set(matrices.filter { $0.value.scales != nil }.keys.map(WeightMatrix.scalesName(of:)))
  }

  /// The size of all weights in memory, in bytes.
  public var byteCount: Int { tensors.values.reduce(0) { $0 + $1.count * $1.dtype.size } }

  /// Checks that modules have requested all tensors of the checkpoint.
  ///
  /// - Throws: `TorchError` of kind `weights` that names a tensor left over.
  public func requireNothingLeft() throws {
    try adapters?.weights.requireNothingLeft()
    let left = stored.keys.filter { tensors[$0] == nil }.sorted()
    guard let first = left.first else { return }
    let others = left.count > 1 ? " (and \(left.count - 1) more)" : ""
    throw TorchError.weights("unexpected tensor \(quoted(first))\(others): the configuration has no place for it")
  }

  /// The tensor of a full name, see `Scope.tensor`.
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

  /// The matrix of a full name, see `Scope.matrix`.
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

  /// A matrix quantized from the checkpoint's floats, without a conversion to the store's dtype.
  private func quantized(
    _ name: String, _ shape: [Int], _ initial: InitialValue, _ scheme: QuantizationScheme
  ) throws -> WeightMatrix {
    let floats =
      if case .stored = source { try load(name, shape, nil, isShared: true) } else { try tensor(name, shape, initial) }
    defer { stored[name] = nil }
    do { return try WeightMatrix(floats).quantized(scheme) } catch {
      throw TorchError.weights("tensor '\(name)' \(error)")
    }
  }

  /// A matrix that the checkpoint contains quantized; nil if it does not.
  private func loadQuantized(_ name: String, _ outputs: Int, _ inputs: Int) throws -> WeightMatrix? {
    guard case .stored(_, let mutable) = source, let values = stored[name],
      let found = QuantizationScheme(values.dtype)
    else { return nil }
    let scalesName = WeightMatrix.scalesName(of: name)
    guard !mutable else {
      throw TorchError.weights(
        "tensor '\(name)' is quantized (\(found)): expected floats, which alone have derivatives")
    }
    guard scheme == nil else { throw TorchError.weights("tensor '\(name)' is quantized already (\(found))") }
    guard let scales = stored[scalesName] else {
      throw TorchError.weights(
        "missing tensor '\(scalesName)': '\(name)' has dtype \(values.dtype), which needs scales")
    }
    guard scales.dtype == .bfloat16 else {
      throw TorchError.weights("tensor '\(scalesName)' has dtype \(scales.dtype): expected bfloat16")
    }
    let shapes = (found.valuesShape(outputs, inputs), found.scalesShape(outputs, inputs))
    for (name, tensor, shape) in [(name, values, shapes.0), (scalesName, scales, shapes.1)] where tensor.shape != shape
    {
      throw TorchError.weights(
        "tensor '\(name)' has shape \(tensor.shape): a weight of [\(outputs), \(inputs)] in \(found) has \(shape)")
    }
    return try withTorch { WeightMatrix(values.to(device), scales: scales.to(device), inputs: inputs) }
  }

  /// A float tensor of the checkpoint, converted and moved to the store's device; a copy unless it may share memory.
  private func load(_ name: String, _ shape: [Int], _ dtype: DType?, isShared: Bool) throws -> Tensor {
    guard let found = stored[name] else {
      throw TorchError.weights("missing tensor '\(name)': the configuration expects it with shape \(shape)")
    }
    guard found.shape == shape else {
      throw TorchError.weights("tensor '\(name)' has shape \(found.shape): the configuration expects \(shape)")
    }
    guard found.dtype.isFloatingPoint else {
      throw TorchError.weights(
        "tensor '\(name)' has dtype \(found.dtype): expected float32, float64, bfloat16 or float16")
    }
    return try withTorch {
      let placed = found.to(dtype ?? found.dtype).to(device)
      let isSame = (dtype ?? found.dtype) == found.dtype && device == found.device
      return isSame && !isShared ? placed.cloned() : placed
    }
  }

  /// The seed of one tensor: the FNV-1a hash of its name, with an offset basis that depends on the store's seed.
  private static func mix(_ seed: UInt64, _ name: String) -> UInt64 {
    var hash = 0xcbf2_9ce4_8422_2325 ^ (seed &* 0x9e37_79b9_7f4a_7c15)
    for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return hash
  }
}

extension TorchError {
  fileprivate static func weights(_ sentence: String) -> TorchError { TorchError(sentence, kind: .weights) }
}
