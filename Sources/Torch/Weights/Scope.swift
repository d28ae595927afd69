/// A prefix of names in a weight store.
///
///     let scope = store.root["model"]["layers"][3]["self_attn"]
///     let query = try scope.tensor("q_proj.weight", [H * hd, D], .normal(0.02))
public struct Scope {
  /// The store of the tensors.
  public let store: WeightStore
  /// The prefix: names, each followed by a dot.
  public let path: String

  /// The scope whose prefix has one name more.
  public subscript(name: String) -> Scope { Scope(store: store, path: path + name + ".") }

  /// The scope of an element of a list, such as a layer.
  public subscript(index: Int) -> Scope { self[String(index)] }

  /// The tensor of this name: initialized, loaded, or as returned before.
  ///
  /// - Throws: `TorchError` of kind `weights` if a checkpoint lacks it or contains it with another shape or an integer
  ///   dtype.
  public func tensor(_ name: String, _ shape: [Int], _ initial: InitialValue) throws -> Tensor {
    try store.tensor(path + name, shape, initial)
  }

  /// The tensor of this name in at least float32, as norms, routers and connection coefficients need it. It is the
  /// store's own tensor unless that has a smaller dtype.
  ///
  /// - Throws: as `tensor`.
  public func float32Tensor(_ name: String, _ shape: [Int], _ initial: InitialValue) throws -> Tensor {
    let tensor = try store.tensor(path + name, shape, initial)
    return try withTorch { tensor.dtype.size < 4 ? tensor.to(.float32) : tensor }
  }

  /// The matrix `[outputs, inputs]` of this name with its adapter, if any: initialized, loaded, or as returned before.
  /// A checkpoint may contain it quantized, with its scales under the same name and `_scale`.
  ///
  /// - Throws: `TorchError` of kind `weights` if a checkpoint lacks it or contains it with another shape or an
  ///   unsupported dtype.
  public func matrix(_ name: String, _ outputs: Int, _ inputs: Int, _ initial: InitialValue) throws -> WeightMatrix {
    try store.matrix(path + name, outputs, inputs, initial)
  }
}

/// The initial value of a weight.
public enum InitialValue {
  /// All zero.
  case zeros
  /// All one.
  case ones
  /// Independent samples of a normal distribution with mean zero and this standard deviation.
  case normal(Double)
  /// The result of a closure, which is given the tensor's own generator.
  case computed((Generator) -> Tensor)

  /// A float32 tensor of the given shape on the CPU.
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
