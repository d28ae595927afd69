import CheckedInput
import LanguageModel

extension Recipe {
  /// Tuning for Direct Multi-Token Decoding.
  public struct DirectDecoding: Codable, Hashable, Sendable {
    /// What the model learns from.
    public enum Objective: String, Codable, Sendable, CaseIterable {
      /// The tokens of the text.
      case crossEntropy = "cross_entropy"
      /// What the model that the run starts from says of every position, decoded ordinarily.
      case distillation
    }

    /// Weights that may stay as they are.
    public enum Frozen: String, Codable, Sendable, CaseIterable {
      /// The embedding table and its expansion.
      case embedding
      /// The output head; a tied one is the embedding table.
      case head
    }

    /// E: layers that run for every token, before the thinking layers.
    public var encodingLayers: Int
    /// Layers that run for every token, after the thinking layers.
    public var decodingLayers: Int
    /// How a head's thinking output enters the decoding layers.
    public var gate: ModelConfiguration.DirectDecoding.Gate
    /// The lengths of cycles, of which each row is given one.
    public var cycles: [Int]
    /// What the model learns from.
    public var objective: Objective
    /// Weights that stay as they are.
    public var frozen: [Frozen]

    /// The names in a recipe.
    public enum CodingKeys: String, CodingKey, CaseIterable {
      case encodingLayers = "encoding_layers"
      case decodingLayers = "decoding_layers"
      case gate
      case cycles
      case objective
      case frozen
    }

    /// What `config.json` says of the model: the layer split, and the longest cycle.
    public var split: ModelConfiguration.DirectDecoding {
      .init(encodingLayers: encodingLayers, decodingLayers: decodingLayers, cycle: cycles.max() ?? 0, gate: gate)
    }
  }

  /// Fails if a model of `model`'s layers, whose sizes are right, cannot be tuned this way.
  func validateDirectDecoding(_ check: RecipeCheck) throws {
    guard let direct = directDecoding else { return }
    let (E, D, L, T) = (direct.encodingLayers, direct.decodingLayers, model.layerCount, training.sequenceLength)
    try check.require(
      (0...L).contains(E) && (0...L).contains(D) && E + D <= L,
      "direct_decoding.encoding_layers is \(E) and decoding_layers \(D): expected together at most the model's \(L) layers"
    )
    try check.require(
      (1...Limits.cycle.upperBound).contains(direct.cycles.count),
      "direct_decoding.cycles has \(direct.cycles.count) lengths: expected 1 to \(Limits.cycle.upperBound)")
    let longest = min(Limits.cycle.upperBound, T / 2)
    for cycle in direct.cycles {
      try check.require(
        (1...longest).contains(cycle),
        "direct_decoding.cycles has \(cycle): expected 1 to \(longest), at most half of training.sequence_length")
    }
    try check.require(
      direct.objective != .distillation || from != nil,
      "direct_decoding.objective is distillation: expected a key 'from', the model to learn from")
  }
}
