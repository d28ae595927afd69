import WidebandTorch
import WidebandVirtualWidth

/// Turns a model with virtual width back into the plain model with the same logits, where there is one: as long as its
/// first m slots are a residual stream that nothing else enters, and that alone is read. `Widening` makes such models.
public struct Narrowing {
  /// The configuration of the plain model.
  public let configuration: ModelConfiguration
  private let width: VirtualWidth
  private let hiddenSize: Int

  /// - Throws: `ConfigurationError` for a model without virtual width, or with a table or norm that mixes the channels.
  public init(_ wide: ModelConfiguration) throws {
    guard let width = wide.virtualWidth else {
      throw ConfigurationError.invalid("virtual_width is missing: expected a model that was widened")
    }
    guard width.embedding == .expanded || width.slots == width.fractionRate else {
      throw ConfigurationError.invalid(
        "virtual_width.embedding is \(width.embedding.rawValue): expected expanded, as in a model that was widened")
    }
    guard width.effectiveReduceNorm != .group else {
      throw ConfigurationError.invalid(
        "virtual_width.reduce_norm is group: expected none or rms, as in a model that was widened")
    }
    guard wide.multiTokenPrediction == nil, wide.quantization == nil else {
      throw ConfigurationError.invalid(
        "multi_token_prediction or quantization_config is there: expected neither, as in a model that was widened")
    }
    var plain = wide
    (plain.virtualWidth, plain.ngramMemory) = (nil, nil)
    (configuration, self.width, hiddenSize) = (plain, width, wide.hiddenSize)
  }

  /// The names of the weights that the plain model does not have.
  ///
  /// - Throws: `ConfigurationError` that names the first weight by which the plain model would differ; the first error of
  ///   an operator.
  public func namesToRemove(_ weights: [(name: String, tensor: Tensor)]) throws -> Set<String> {
    var names: Set<String> = []
    for (name, tensor) in weights {
      guard let isSame = try withTorch({ try isPlain(name, tensor) }) else { continue }
      guard isSame else {
        throw ConfigurationError.invalid(
          "tensor '\(name)' has changed: expected the value of a model that was widened and not trained since, as no plain "
            + "model has these logits")
      }
      names.insert(name)
    }
    return names
  }

  /// Whether a weight leaves the first m slots the residual stream; nil for a weight of the plain model.
  private func isPlain(_ name: String, _ tensor: Tensor) throws -> Bool? {
    let (m, n, D) = (width.fractionRate, width.slots, hiddenSize)
    func isEqual(_ part: Tensor, _ expected: Tensor) throws -> Bool {
      try part.to(.float32).contiguous().isIdentical(to: expected)
    }
    if name.hasPrefix("model.ngram_memory.") { return true }
    switch name {
    case "model.embed_expand.weight": return try isEqual(tensor.slice(0, 0..<D), .identity(D, D))
    case "model.reduce.weight": return try isEqual(tensor, .identity(D, n * (D / m)))
    case "model.reduce_norm.weight": return try isEqual(tensor.slice(0, 0..<D), .ones([D]))
    default: break
    }
    guard let part = name.split(separator: ".").last, name.contains("_connection.") else { return nil }
    switch part {
    // Read and carry: the first m slots, each from itself alone. What the others carry has no effect.
    case "static_alpha":
      let own = tensor.slice(1, 0..<(2 * m))
      return try isEqual(own, .concatenate([.identity(n, m), .identity(n, m)], axis: 1))
    case "static_beta": return try isEqual(tensor.slice(0, 0..<m), .identity(m, m))
    case "dynamic_alpha", "dynamic_beta": return try isEqual(tensor, .zeros(tensor.shape))
    // Scales and gains of maps that are zero.
    default: return true
    }
  }
}
