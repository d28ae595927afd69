import WidebandCheckedInput
import WidebandVirtualWidth

/// The cost of one token in a forward pass: floating-point operations, weights and memory traffic of each part.
///
/// A multiplication and an addition count as two operations. A training step costs three forward passes. Sizes are
/// multiplied as `Double`, which cannot overflow; counts are exact up to 2^53.
public struct ModelCost: Sendable {
  /// One part of a model.
  public struct Part: Sendable {
    /// The name of the part, such as "attention".
    public let name: String
    /// The number of weights.
    public let parameters: Int
    /// The number of weights that one token uses: of the experts, those it is routed to.
    public let activeParameters: Int
    /// Floating-point operations of one token.
    public let operations: Double
    /// Elements of activations that one token reads and writes in a memory-bound part, with the carry recomputed; 0 for
    /// other parts.
    public let traffic: Double
    /// Bytes that one token reads and writes: the active weights once, in float32 or quantized, and the traffic in
    /// float32.
    public let bytes: Double
  }

  /// All parts, in the order of the data flow.
  public let parts: [Part]

  /// The cost of a model at a context of T tokens; with causal attention a token attends to T / 2 positions on average.
  public init(_ configuration: ModelConfiguration, contextLength T: Int) {
    let counter = Counter(configuration, contextLength: T)
    parts = counter.parts.filter { $0.parameters > 0 || $0.operations > 0 }
  }

  /// The number of weights of the model.
  public var parameters: Int { Int(clamping: parts.reduce(0) { $0 + Double($1.parameters) }) }
  /// The number of weights that one token uses.
  public var activeParameters: Int { Int(clamping: parts.reduce(0) { $0 + Double($1.activeParameters) }) }
  /// Floating-point operations of one token's forward pass.
  public var operations: Double { parts.reduce(0) { $0 + $1.operations } }

  /// Floating-point operations of the prefill of `T` tokens: forward passes without prediction depths, with reduce and
  /// output head for the last token alone.
  public static func operations(ofPrompt T: Int, _ configuration: ModelConfiguration) -> Double {
    var configuration = configuration
    configuration.multiTokenPrediction = nil
    return ModelCost(configuration, contextLength: T).parts.reduce(0) {
      $0 + $1.operations * Double($1.name == "reduce" || $1.name == "output head" ? 1 : T)
    }
  }
}

/// Counts the parts of one configuration.
private struct Counter {
  let configuration: ModelConfiguration
  let T: Double
  let D: Double
  /// The number of layers, those of prediction depths included.
  let layers: Double
  /// The number of layers with experts.
  let expertLayers: Double

  init(_ configuration: ModelConfiguration, contextLength: Int) {
    self.configuration = configuration
    T = Double(contextLength)
    D = Double(configuration.hiddenSize)
    let depths = configuration.multiTokenPrediction?.depth ?? 0
    layers = Double(configuration.layerCount) + Double(depths)
    // The layer of a prediction depth has experts if layer 0 has.
    let trunk = (0..<max(0, configuration.layerCount)).count { configuration.hasExperts(layer: $0) }
    expertLayers = Double(trunk) + (configuration.hasExperts(layer: 0) ? Double(depths) : 0)
  }

  var depths: Double { Double(configuration.multiTokenPrediction?.depth ?? 0) }
  var width: VirtualWidth? { configuration.virtualWidth }
  /// C: the number of channels of a slot.
  var C: Double { width.map { Double($0.slotWidth(hiddenSize: configuration.hiddenSize)) } ?? D }
  var slots: Double { Double(width?.slots ?? 1) }
  var wide: Double { slots * C }

  var parts: [ModelCost.Part] {
    [embedding, memory, attention, feedForward, connections, mixes, reduces, norms, head]
  }

  /// - Parameter vectors: the number of active parameters outside of matrices, which are never quantized.
  private func part(
    _ name: String, _ parameters: Double, active: Double? = nil, vectors: Double = 0, operations: Double,
    traffic: Double = 0
  ) -> ModelCost.Part {
    let active = active ?? parameters
    let bytesPerWeight = configuration.quantization?.bytesPerWeight ?? 4
    return .init(
      name: name, parameters: Int(clamping: parameters), activeParameters: Int(clamping: active),
      operations: operations, traffic: traffic, bytes: (active - vectors) * bytesPerWeight + (vectors + traffic) * 4)
  }

  /// A row of a tied table counts in the output head.
  private var embedding: ModelCost.Part {
    let isExpanded = width?.embedding == .expanded
    let columns = isExpanded ? D : wide
    let expand = isExpanded ? wide * D : 0
    return part(
      "embedding", Double(configuration.vocabularySize) * columns + expand,
      active: (configuration.isHeadTied ? 0 : columns) + expand,
      operations: 2 * expand * (1 + depths), traffic: wide * (1 + depths))
  }

  /// One row of each table; in a plain model each layer adds all of them to the state.
  private var memory: ModelCost.Part {
    guard let memory = configuration.ngramMemory else { return part("n-gram memory", 0, operations: 0) }
    let orders = Double(memory.orders.count)
    let factors = width == nil ? Double(configuration.layerCount) * orders : 0
    let norms = memory.isNormalized ? orders * D : 0
    let additions = width == nil ? 2 * factors * D + Double(configuration.layerCount) * D : orders * D
    return part(
      "n-gram memory", orders * Double(memory.rows) * D + norms + factors, active: orders * D + norms + factors,
      vectors: norms + factors, operations: additions, traffic: width == nil ? additions : 2 * wide)
  }

  private var attention: ModelCost.Part {
    let channels = Double(configuration.headSize)
    let queries = Double(configuration.headCount) * channels
    let keys = Double(configuration.keyValueHeadCount) * channels
    let weights = D * (queries + 2 * keys) + queries * D
    // Causal: a token attends to half the context on average; one product with the keys, one with the values.
    let products = 2 * 2 * queries * T / 2
    return part(
      "attention", layers * (weights + 2 * channels), vectors: layers * 2 * channels,
      operations: layers * (2 * weights + products))
  }

  private var feedForward: ModelCost.Part {
    let dense = (layers - expertLayers) * 3 * D * Double(configuration.intermediateSize)
    guard let experts = configuration.experts else { return part("feed-forward", dense, operations: 2 * dense) }
    let expert = 3 * D * Double(experts.intermediateSize)
    let routers = expertLayers * Double(experts.count) * D
    let active = dense + expertLayers * Double(experts.perToken) * expert + routers
    return part(
      "feed-forward", dense + expertLayers * Double(experts.count) * expert + routers, active: active, vectors: routers,
      operations: 2 * active)
  }

  /// Two connections per layer. Source: arXiv 2511.11238, section 5.1.
  private var connections: ModelCost.Part {
    let count = 2 * layers
    guard let width else {
      return part("residual connections", 0, operations: count * D, traffic: count * 3 * D)
    }
    let (m, n) = (Double(width.fractionRate), slots)
    var parameters = n * (m + n) + n * m
    var operations = 2 * (m + n) * n * C + 2 * n * m * C
    if width.connections == .dynamic {
      parameters += (2 * m + n) * C + n * (2 * m + n) + C
      operations += 4 * n * C + 2 * (2 * m + n) * n * C
    }
    return part(
      "hyper-connections", count * parameters, vectors: count * parameters, operations: count * operations,
      traffic: count * (3 * wide + 2 * D))
  }

  private var mixes: ModelCost.Part {
    part(
      "prediction mixes", depths * (2 * C * C + 2 * wide), vectors: depths * 2 * wide,
      operations: depths * slots * 4 * C * C)
  }

  private var reduces: ModelCost.Part {
    guard let width else { return part("reduce", 0, operations: 0) }
    let weights = D * wide
    let norm =
      switch width.effectiveReduceNorm {
      case .group: 2 * wide
      case .rms: wide
      case .none: 0.0
      }
    return part(
      "reduce", (1 + depths) * (weights + norm), vectors: (1 + depths) * norm, operations: 2 * (1 + depths) * weights)
  }

  private var norms: ModelCost.Part {
    let gains = 2 * layers * D + (1 + depths) * D
    return part("norms", gains, vectors: gains, operations: 8 * layers * D)
  }

  private var head: ModelCost.Part {
    let weights = Double(configuration.vocabularySize) * D
    return part(
      "output head", configuration.isHeadTied ? 0 : weights, active: weights, operations: 2 * (1 + depths) * weights)
  }
}
