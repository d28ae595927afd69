import WidebandCheckedInput
import WidebandTorch
import WidebandVirtualWidth

/// The architecture of a model: the content of `config.json`, a superset of Qwen3's and Qwen3-MoE's.
public struct ModelConfiguration: Hashable, Sendable {
  /// Mixture-of-experts feed-forward layers, as in Qwen3-MoE.
  public struct Experts: Hashable, Sendable {
    /// E: the number of experts of a layer.
    public var count: Int
    /// The number of experts that each token is routed to.
    public var perToken: Int
    /// The hidden size of one expert.
    public var intermediateSize: Int
    /// Whether the routing weights of a token's experts are normalized to sum to one.
    public var isRenormalized: Bool
    /// The weight of the load-balancing loss.
    public var balanceLossWeight: Double
    /// The default of that weight, as in transformers.
    public static let defaultBalanceLossWeight = 0.001
    /// Every `layerStep`-th layer has experts.
    public var layerStep: Int
    /// The indices of layers that are dense in spite of that.
    public var denseLayers: [Int]

    /// Experts in every layer by default.
    public init(
      count: Int, perToken: Int, intermediateSize: Int, isRenormalized: Bool = true,
      balanceLossWeight: Double = defaultBalanceLossWeight,
      layerStep: Int = 1, denseLayers: [Int] = []
    ) {
      self.count = count
      self.perToken = perToken
      self.intermediateSize = intermediateSize
      self.isRenormalized = isRenormalized
      self.balanceLossWeight = balanceLossWeight
      self.layerStep = layerStep
      self.denseLayers = denseLayers
    }
  }

  /// Multi-token prediction: additional prediction depths.
  public struct MultiTokenPrediction: Codable, Hashable, Sendable {
    /// K: the number of tokens after the next one that are predicted in training.
    public var depth: Int
    /// The weight of the mean of the depths' losses in the total loss.
    public var lossWeight: Double

    /// K prediction depths.
    public init(depth: Int, lossWeight: Double = 0.3) {
      self.depth = depth
      self.lossWeight = lossWeight
    }

    /// The keys in `config.json`.
    public enum CodingKeys: String, CodingKey, CaseIterable {
      case depth
      case lossWeight = "loss_weight"
    }
  }

  /// V: the size of the vocabulary.
  public var vocabularySize: Int
  /// D: the backbone width.
  public var hiddenSize: Int
  /// L: the number of layers, each attention and feed-forward.
  public var layerCount: Int
  /// H: the number of query heads.
  public var headCount: Int
  /// K: the number of key/value heads.
  public var keyValueHeadCount: Int
  /// hd: the number of channels of a head.
  public var headSize: Int
  /// The hidden size of a dense feed-forward layer.
  public var intermediateSize: Int
  /// The base θ of the rotary frequencies.
  public var ropeTheta: Double = 10_000
  /// The ε of all norms.
  public var normEpsilon: Double = 1e-6
  /// The maximum number of positions.
  public var contextLength: Int = 1024
  /// Whether the output head is the embedding table.
  public var isHeadTied = false
  /// The tokens that end a sequence.
  public var endOfTextTokens: [TokenID] = []
  /// Mixture-of-experts layers; nil for a dense model.
  public var experts: Experts?
  /// The over-width state; nil for plain residual connections.
  public var virtualWidth: VirtualWidth?
  /// Tables of n-grams; nil without them.
  public var ngramMemory: NGramMemory?
  /// Multi-token prediction; nil for next-token prediction alone.
  public var multiTokenPrediction: MultiTokenPrediction?
  /// The layer split for direct decoding; nil for a model without one.
  public var directDecoding: DirectDecoding?
  /// The quantization of the matrices; nil for floats.
  public var quantization: QuantizationScheme?

  /// A dense, plain Qwen3 model with as many key/value heads as query heads. A head has D / H channels by default.
  public init(
    vocabularySize: Int, hiddenSize: Int, layerCount: Int, headCount: Int, headSize: Int? = nil, intermediateSize: Int
  ) {
    self.vocabularySize = vocabularySize
    self.hiddenSize = hiddenSize
    self.layerCount = layerCount
    self.headCount = headCount
    keyValueHeadCount = headCount
    self.headSize = headSize ?? hiddenSize / max(1, headCount)
    self.intermediateSize = intermediateSize
  }

  /// Whether the feed-forward sublayer of a layer is a mixture of experts.
  public func hasExperts(layer: Int) -> Bool {
    guard let experts else { return false }
    return !experts.denseLayers.contains(layer) && (layer + 1).isMultiple(of: experts.layerStep)
  }

  /// The value of `model_type`: "qwen3" or "qwen3_moe" for models of that architecture, "wideband" for others.
  public var modelType: String {
    if virtualWidth != nil || multiTokenPrediction != nil || ngramMemory != nil { return "wideband" }
    return experts == nil ? "qwen3" : "qwen3_moe"
  }

  /// The layer split of Direct Multi-Token Decoding, for which a model is tuned. Source: arXiv 2510.11958.
  public struct DirectDecoding: Codable, Hashable, Sendable {
    /// The input of the decoding layers.
    public enum Gate: String, Codable, Sendable, CaseIterable {
      /// The encoder state, plus the thinking layers' output at cycle heads.
      case add
      /// The thinking layers' output at cycle heads, the encoder state elsewhere.
      case select
    }

    /// E: the number of first layers, which run for every token.
    public var encodingLayers: Int
    /// The number of last layers, which run for every token. The thinking layers are those between.
    public var decodingLayers: Int
    /// The maximum number of tokens decoded per pass through the thinking layers.
    public var cycle: Int
    /// The input of the decoding layers.
    public var gate: Gate

    /// A layer split.
    public init(encodingLayers: Int, decodingLayers: Int, cycle: Int, gate: Gate) {
      self.encodingLayers = encodingLayers
      self.decodingLayers = decodingLayers
      self.cycle = cycle
      self.gate = gate
    }

    /// The keys in `config.json`.
    public enum CodingKeys: String, CodingKey, CaseIterable {
      case encodingLayers = "encoding_layers"
      case decodingLayers = "decoding_layers"
      case cycle
      case gate
    }
  }
}
