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

  private let source: Source

  private enum Source {
    case seed(UInt64, dtype: DType)
    case stored([String: Tensor], dtype: DType?, mutable: Bool)
  }

  /// Fresh weights.
  ///
  /// Each tensor's random numbers depend on the seed and its own name only, so that two models that differ in one
  /// part start from the same values everywhere else.
  ///
  /// - Parameter dtype: the type that each tensor is kept in, once it has been made in float32.
  public init(seed: UInt64, dtype: DType = .float32, on device: Device = .cpu) {
    source = .seed(seed, dtype: dtype)
    self.device = device
    adapters = nil
  }

  /// Weights from a checkpoint.
  ///
  /// - Parameters:
  ///   - tensors: what was read, by name.
  ///   - dtype: the type to convert to; nil keeps each tensor's own.
  ///   - mutable: whether the weights will be written to. If not, they may share memory with the file.
  ///   - adapters: what is trained beside them.
  public init(
    stored tensors: [String: Tensor], dtype: DType? = nil, mutable: Bool, on device: Device = .cpu,
    adapters: LowRankAdapters? = nil
  ) {
    source = .stored(tensors, dtype: dtype, mutable: mutable)
    self.device = device
    self.adapters = adapters
  }

  /// The scope from which all names are given in full.
  public var root: Scope { Scope(store: self, path: "") }

  /// The number of weights.
  public var parameterCount: Int { tensors.values.reduce(0) { $0 + $1.count } }

  /// Fails if the checkpoint held a tensor that no module has asked for.
  public func requireNothingLeft() throws {
    try adapters?.weights.requireNothingLeft()
    guard case .stored(let stored, _, _) = source else { return }
    let left = stored.keys.filter { tensors[$0] == nil }.sorted()
    guard let first = left.first else { return }
    let others = left.count > 1 ? " (and \(left.count - 1) more)" : ""
    throw TorchError("unexpected tensor '\(first)'\(others): the configuration has no place for it")
  }

  func tensor(_ name: String, _ shape: [Int], _ initial: InitialValue) throws -> Tensor {
    if let tensor = tensors[name] { return tensor }
    let tensor =
      switch source {
      case .seed(let seed, let dtype):
        try initial.tensor(shape, seed: Self.mix(seed, name)).to(dtype).to(device)
      case .stored(let stored, let dtype, let mutable):
        try Self.load(name, shape, from: stored, dtype, mutable: mutable, on: device)
      }
    tensors[name] = tensor
    return tensor
  }

  private static func load(
    _ name: String, _ shape: [Int], from stored: [String: Tensor], _ dtype: DType?, mutable: Bool, on device: Device
  ) throws -> Tensor {
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
      let isShared = (dtype ?? found.dtype) == found.dtype && device == found.device
      return mutable && isShared ? placed.cloned() : placed
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
