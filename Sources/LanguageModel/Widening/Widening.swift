import WidebandTorch
import WidebandVirtualWidth

/// Turns a plain model into one with virtual width that computes the same logits.
///
/// The first m slots are the residual stream of the plain model: the embedding enters them, the connections read them
/// alone and carry them unchanged, and the reduce gives them to the head. The other slots get the sublayers' outputs,
/// as published, but nothing reads them until training changes that. Weights of the plain model are unchanged.
///
///     let widening = Widening(fractionRate: 4, slots: 16)
///     let configuration = try widening.configuration(of: plain)
///     let new = try widening.newWeights(of: plain)
public struct Widening: Hashable, Sendable {
  /// What the slots after the first m have at the start.
  public enum Start: String, Sendable, CaseIterable {
    /// Zeros. They get the outputs of sublayers by a factor that falls from group to group of m slots, so that they
    /// differ.
    case zero
    /// Random mixtures of the token's embedding.
    case random
  }

  /// The width of the new model.
  public var width: VirtualWidth
  /// Tables of n-grams, zero at first, whose rows enter the groups of slots after the first; nil for none.
  public var memory: ModelConfiguration.NGramMemory?
  /// What the slots after the first m have at the start.
  public var start: Start

  /// A widening to r = n/m times the width.
  ///
  /// - Parameter reduceNorm: `none`, with which the logits are the plain model's; or `rms`, with which they are up to ε.
  public init(
    fractionRate: Int, slots: Int, reduceNorm: VirtualWidth.ReduceNorm = .none,
    memory: ModelConfiguration.NGramMemory? = nil, start: Start = .zero
  ) {
    width = VirtualWidth(
      fractionRate: fractionRate, slots: slots, embedding: .expanded, connections: .dynamic, reduceNorm: reduceNorm)
    self.memory = memory
    self.start = start
  }

  /// The configuration of the new model. Prediction depths are left out: they read all slots.
  ///
  /// - Throws: `ConfigurationError` for a model that is wide, quantized or has n-gram memory, a group norm, and a width or
  ///   memory that does not fit.
  public func configuration(of plain: ModelConfiguration) throws -> ModelConfiguration {
    func require(_ isMet: Bool, _ sentence: String) throws {
      if !isMet { throw ConfigurationError.invalid(sentence) }
    }
    try require(plain.virtualWidth == nil, "virtual_width is there: expected a plain model, without it")
    try require(plain.ngramMemory == nil, "ngram_memory is there: expected a model without it")
    try require(
      plain.quantization == nil,
      "quantization_config is there: expected weights of floats, as the new weights are to be trained")
    try require(
      width.reduceNorm != .group, "virtual_width.reduce_norm is group: expected none or rms, which keep the logits")
    var wide = plain
    wide.virtualWidth = width
    wide.ngramMemory = memory
    wide.multiTokenPrediction = nil
    try wide.validate()
    return wide
  }

  /// The weights that the new model has and the plain one has not: connections and a norm in float32, other matrices in
  /// `dtype`.
  ///
  /// - Throws: as `configuration(of:)`.
  public func newWeights(
    of plain: ModelConfiguration, dtype: DType = .float32, seed: UInt64 = 0
  ) throws -> [(name: String, tensor: Tensor)] {
    let wide = try configuration(of: plain)
    let (D, epsilon) = (wide.hiddenSize, wide.normEpsilon)
    let store = WeightStore(seed: seed)
    let model = store.root["model"]
    var values = InitialValues.standard
    (values.expand, values.reduce) = (start == .zero ? .identity : .identityAndRandom, .identity)
    try OverWidthEmbedding.expand(wide: width.width(hiddenSize: D), hiddenSize: D, start: values, in: model)
    if let memory { _ = try NGramTables(memory, wide, start: values, computingIn: .float32, in: model) }
    for layer in 0..<wide.layerCount {
      for connection in ["attention_connection", "mlp_connection"] {
        _ = try GeneralizedHyperConnection(
          width, slotWidth: width.slotWidth(hiddenSize: D), epsilon: epsilon, start: values, layer: layer,
          in: model["layers"][layer][connection])
      }
    }
    _ = try Reduce(width, hiddenSize: D, epsilon: epsilon, start: values, in: model)
    return try withTorch {
      store.tensors.map { name, tensor in
        if name.hasSuffix(".static_beta"), start == .zero { return (name, tensor * writeFactors) }
        return (name, tensor.rank == 2 && !name.contains("_connection.") ? tensor.to(dtype) : tensor)
      }
    }
  }

  /// The factor of each slot's write coefficients, `[n, 1]`: 1 in the first group of m slots, less in every further one.
  private var writeFactors: Tensor {
    let m = width.fractionRate
    let groups = (width.slots + m - 1) / m
    return Tensor((0..<width.slots).map { 1 - Float($0 / m) / Float(groups) }).unsqueezed(1)
  }
}
