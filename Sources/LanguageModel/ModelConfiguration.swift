import Torch
import VirtualWidth

/// What a model is made of: the content of `config.json`, a superset of Qwen3's and Qwen3-MoE's.
public struct ModelConfiguration: Hashable, Sendable {
  /// Mixture-of-experts feed-forward layers, as in Qwen3-MoE.
  public struct Experts: Hashable, Sendable {
    /// E: experts of a layer.
    public var count: Int
    /// Experts that each token is sent to.
    public var perToken: Int
    /// Channels inside one expert.
    public var intermediateSize: Int
    /// Whether the chosen experts' weights are scaled to sum to one.
    public var isRenormalized: Bool
    /// The weight of the load-balancing loss.
    public var balanceLossWeight: Double
    /// What that weight is where nothing is said of it: as in transformers.
    public static let usualBalanceLossWeight = 0.001
    /// Every how many layers there are experts.
    public var layerStep: Int
    /// Layers that stay dense all the same.
    public var denseLayers: [Int]

    /// Experts in every layer.
    public init(
      count: Int, perToken: Int, intermediateSize: Int, isRenormalized: Bool = true,
      balanceLossWeight: Double = usualBalanceLossWeight,
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

  /// Extra prediction depths.
  public struct MultiTokenPrediction: Codable, Hashable, Sendable {
    /// K: how many tokens beyond the next are predicted in training.
    public var depth: Int
    /// The weight of the depths' losses together.
    public var lossWeight: Double

    /// K further tokens.
    public init(depth: Int, lossWeight: Double = 0.3) {
      self.depth = depth
      self.lossWeight = lossWeight
    }

    /// The names in `config.json`.
    public enum CodingKeys: String, CodingKey, CaseIterable {
      case depth
      case lossWeight = "loss_weight"
    }
  }

  /// V: rows of the embedding and the output head.
  public var vocabularySize: Int
  /// D: the backbone's width.
  public var hiddenSize: Int
  /// L: layers, each attention and feed-forward.
  public var layerCount: Int
  /// H: query heads.
  public var headCount: Int
  /// K: key/value heads.
  public var keyValueHeadCount: Int
  /// Channels of a head.
  public var headSize: Int
  /// Channels inside a dense feed-forward layer.
  public var intermediateSize: Int
  /// The base of the rotary position frequencies.
  public var ropeTheta: Double = 10_000
  /// What is added to a mean square before its root.
  public var normEpsilon: Double = 1e-6
  /// The longest context the model is meant for.
  public var contextLength: Int = 1024
  /// Whether the output head is the embedding table.
  public var isHeadTied = false
  /// Tokens that end a text.
  public var endOfTextTokens: [Int] = []
  /// Experts in place of dense feed-forward layers.
  public var experts: Experts?
  /// The over-width state; nil for plain residual connections.
  public var virtualWidth: VirtualWidth?
  /// Extra prediction depths; nil for next-token prediction alone.
  public var multiTokenPrediction: MultiTokenPrediction?
  /// The layer split a model was tuned for; nil for ordinary decoding.
  public var directDecoding: DirectDecoding?
  /// How the matrices beside it are quantised; nil for floats.
  public var quantization: QuantizationScheme?

  /// A dense, plain Qwen3 model with one key/value head a query head.
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

  /// Whether the feed-forward part of a layer is a mixture of experts.
  public func hasExperts(layer: Int) -> Bool {
    guard let experts else { return false }
    return !experts.denseLayers.contains(layer) && (layer + 1).isMultiple(of: experts.layerStep)
  }

  /// "qwen3" or "qwen3_moe" where the model is exactly that, "wideband" otherwise.
  public var modelType: String {
    if virtualWidth != nil || multiTokenPrediction != nil { return "wideband" }
    return experts == nil ? "qwen3" : "qwen3_moe"
  }

  /// The layer split of Direct Multi-Token Decoding, kept with the model that was tuned for it.
  public struct DirectDecoding: Codable, Hashable, Sendable {
    /// What the decoding layers see of a position that is no cycle head.
    public enum Gate: String, Codable, Sendable, CaseIterable {
      /// A head's thinking output is added to its encoding output.
      case add
      /// A head's thinking output replaces its encoding output.
      case select
    }

    /// E: layers that run for every token, before the thinking layers.
    public var encodingLayers: Int
    /// Layers that run for every token, after the thinking layers.
    public var decodingLayers: Int
    /// Tokens decoded per pass through the thinking layers.
    public var cycle: Int
    /// How a head's thinking output enters the decoding layers.
    public var gate: Gate

    /// A split of a model's layers.
    public init(encodingLayers: Int, decodingLayers: Int, cycle: Int, gate: Gate) {
      self.encodingLayers = encodingLayers
      self.decodingLayers = decodingLayers
      self.cycle = cycle
      self.gate = gate
    }

    /// The names in `config.json`.
    public enum CodingKeys: String, CodingKey, CaseIterable {
      case encodingLayers = "encoding_layers"
      case decodingLayers = "decoding_layers"
      case cycle
      case gate
    }
  }
}
