import WidebandCheckedInput
import WidebandLanguageModel

extension Recipe {
  /// Tuning for Direct Multi-Token Decoding.
  public struct DirectDecoding: Codable, Hashable, Sendable {
    /// The training objective.
    public enum Objective: String, Codable, Sendable, CaseIterable {
      /// The cross-entropy of the data's tokens.
      case crossEntropy = "cross_entropy"
      /// The KL divergence from the model that the run starts from, decoded one token at a time.
      case distillation
    }

    /// The weights that can be frozen.
    public enum FrozenParameter: String, Codable, Sendable, CaseIterable {
      /// The embedding table and its expansion.
      case embedding
      /// The output head; a tied one is the embedding table.
      case head
    }

    /// E: the number of first layers, which run for every token.
    public var encodingLayers: Int
    /// The number of last layers, which run for every token.
    public var decodingLayers: Int
    /// The input of the decoding layers.
    public var gate: ModelConfiguration.DirectDecoding.Gate
    /// The cycle lengths, of which one is sampled for each row.
    public var cycles: [Int]
    /// The training objective.
    public var objective: Objective
    /// The frozen weights.
    public var frozen: [FrozenParameter]

    /// The keys in a recipe.
    public enum CodingKeys: String, CodingKey, CaseIterable {
      case encodingLayers = "encoding_layers"
      case decodingLayers = "decoding_layers"
      case gate, cycles, objective, frozen
    }

    /// The layer split for `config.json`, with the longest cycle length.
    public var split: ModelConfiguration.DirectDecoding {
      .init(encodingLayers: encodingLayers, decodingLayers: decodingLayers, cycle: cycles.max() ?? 0, gate: gate)
    }
  }

  /// Checks that the model, whose sizes are valid, can be tuned this way.
  func validateDirectDecoding(_ check: RecipeCheck) throws {
    guard let direct = directDecoding else { return }
    try check.require(
      direct.split.fits(layerCount: model.layerCount),
      "direct_decoding.encoding_layers is \(direct.encodingLayers) and decoding_layers \(direct.decodingLayers): expected "
        + "together at most the model's \(model.layerCount) layers")
    try check.require(
      (1...Limits.cycle.upperBound).contains(direct.cycles.count),
      "direct_decoding.cycles has \(direct.cycles.count) lengths: expected 1 to \(Limits.cycle.upperBound)")
    let longest = min(Limits.cycle.upperBound, training.sequenceLength / 2)
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
