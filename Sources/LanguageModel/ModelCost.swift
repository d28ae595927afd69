import VirtualWidth

/// What one token costs in a forward pass: floating-point operations and weights, part by part.
///
/// A multiplication and an addition count as two operations. A training step costs three forward passes.
public struct ModelCost: Sendable {
  /// One part of a model.
  public struct Part: Sendable {
    /// What the part is.
    public let name: String
    /// Its weights.
    public let parameters: Int
    /// Its weights that one token meets: of the experts, the chosen ones.
    public let activeParameters: Int
    /// Floating-point operations of one token.
    public let operations: Double
    /// Elements of activations that one token reads and writes where the part is memory-bound, carry recomputed.
    public let traffic: Double
    /// Bytes that one token reads and writes: its weights once, in float32 or as they are quantised, and the traffic.
    public let bytes: Double
  }

  /// Every part, in the order of the data.
  public let parts: [Part]

  /// The cost of a model whose tokens see `contextLength` positions on average half of them.
  public init(_ configuration: ModelConfiguration, contextLength T: Int) {
    let counter = Counter(configuration, contextLength: T)
    parts = counter.parts.filter { $0.parameters > 0 || $0.operations > 0 }
  }

  /// All weights.
  public var parameters: Int { parts.reduce(0) { $0 + $1.parameters } }
  /// The weights that one token meets.
  public var activeParameters: Int { parts.reduce(0) { $0 + $1.activeParameters } }
  /// Floating-point operations of one token's forward pass.
  public var operations: Double { parts.reduce(0) { $0 + $1.operations } }

  /// Floating-point operations of reading a prompt of `T` tokens: all of a forward pass without prediction depths, but
  /// reduce and head for the last token alone.
  public static func operations(ofPrompt T: Int, _ configuration: ModelConfiguration) -> Double {
    var configuration = configuration
    configuration.multiTokenPrediction = nil
    return ModelCost(configuration, contextLength: T).parts.reduce(0) {
      $0 + $1.operations * Double($1.name == "reduce" || $1.name == "output head" ? 1 : T)
    }
  }
}

/// Counts one configuration.
private struct Counter {
  let configuration: ModelConfiguration
  let T: Int
  let D: Int
  /// Layers of the trunk and of all prediction depths.
  let layers: [Int]

  init(_ configuration: ModelConfiguration, contextLength: Int) {
    self.configuration = configuration
    T = contextLength
    D = configuration.hiddenSize
    let depths = configuration.multiTokenPrediction?.depth ?? 0
    layers = Array(0..<configuration.layerCount) + Array(repeating: 0, count: depths)
  }

  var depths: Int { configuration.multiTokenPrediction?.depth ?? 0 }
  var width: VirtualWidth? { configuration.virtualWidth }
  var wide: Int { width?.width(hiddenSize: D) ?? D }

  var parts: [ModelCost.Part] {
    [embedding, attention, feedForward, connections, mixes, reduces, norms, head]
  }

  /// - Parameter vectors: of the active parameters those that lie in no matrix, and so are never quantised.
  private func part(
    _ name: String, _ parameters: Int, active: Int? = nil, vectors: Int = 0, operations: Double, traffic: Double = 0
  ) -> ModelCost.Part {
    let active = active ?? parameters
    let bytesPerWeight = configuration.quantization?.bytesPerWeight ?? 4
    return .init(
      name: name, parameters: parameters, activeParameters: active, operations: operations, traffic: traffic,
      bytes: Double(active - vectors) * bytesPerWeight + (Double(vectors) + traffic) * 4)
  }

  /// A row of a table that is the output head as well counts there.
  private var embedding: ModelCost.Part {
    let isExpanded = width?.embedding == .expanded
    let columns = isExpanded ? D : wide
    let expand = isExpanded ? wide * D : 0
    return part(
      "embedding", configuration.vocabularySize * columns + expand,
      active: (configuration.isHeadTied ? 0 : columns) + expand,
      operations: 2 * Double(expand) * Double(1 + depths), traffic: Double(wide * (1 + depths)))
  }

  private var attention: ModelCost.Part {
    let queries = configuration.headCount * configuration.headSize
    let keys = configuration.keyValueHeadCount * configuration.headSize
    let weights = D * (queries + 2 * keys) + queries * D
    // Causal: a token sees half the context on average; one product for the scores, one for the values.
    let scores = 2 * 2 * Double(queries) * Double(T) / 2
    let count = layers.count
    return part(
      "attention", count * (weights + 2 * configuration.headSize), vectors: count * 2 * configuration.headSize,
      operations: Double(count) * (2 * Double(weights) + scores))
  }

  private var feedForward: ModelCost.Part {
    var total = 0
    var active = 0
    var routers = 0
    for layer in layers {
      if let experts = configuration.experts, configuration.hasExperts(layer: layer) {
        let expert = 3 * D * experts.intermediateSize
        total += experts.count * (expert + D)
        active += experts.perToken * expert + experts.count * D
        routers += experts.count * D
      } else {
        total += 3 * D * configuration.intermediateSize
        active += 3 * D * configuration.intermediateSize
      }
    }
    return part("feed-forward", total, active: active, vectors: routers, operations: 2 * Double(active))
  }

  /// Source of the counts: arXiv 2511.11238, section 5.1, for each of the two connections of a layer.
  private var connections: ModelCost.Part {
    let count = 2 * layers.count
    guard let width else {
      return part("residual connections", 0, operations: Double(count * D), traffic: Double(count * 3 * D))
    }
    let (m, n) = (width.fractionRate, width.slots)
    let C = width.slotWidth(hiddenSize: D)
    var parameters = n * (m + n) + n * m
    var operations = 2 * (m + n) * n * C + 2 * n * m * C
    if width.connections == .dynamic {
      parameters += (2 * m + n) * C + n * (2 * m + n) + C
      operations += 4 * n * C + 2 * (2 * m + n) * n * C
    }
    return part(
      "hyper-connections", count * parameters, vectors: count * parameters,
      operations: Double(count) * Double(operations),
      traffic: Double(count * (3 * wide + 2 * D)))
  }

  private var mixes: ModelCost.Part {
    let C = width?.slotWidth(hiddenSize: D) ?? D
    let slots = width?.slots ?? 1
    return part(
      "prediction mixes", depths * (2 * C * C + 2 * wide), vectors: depths * 2 * wide,
      operations: Double(depths * slots) * 4 * Double(C * C))
  }

  private var reduces: ModelCost.Part {
    guard let width else { return part("reduce", 0, operations: 0) }
    let weights = D * wide
    let norm = width.hasGroupNorm ? 2 * wide : 0
    return part(
      "reduce", (1 + depths) * (weights + norm), vectors: (1 + depths) * norm,
      operations: 2 * Double((1 + depths) * weights))
  }

  private var norms: ModelCost.Part {
    let gains = 2 * layers.count * D + (1 + depths) * D
    return part("norms", gains, vectors: gains, operations: Double(8 * layers.count * D))
  }

  private var head: ModelCost.Part {
    let weights = configuration.vocabularySize * D
    return part(
      "output head", configuration.isHeadTied ? 0 : weights, active: weights,
      operations: 2 * Double((1 + depths) * weights))
  }
}
