import CheckedInput
import LanguageModel

extension Recipe {
  /// Tuning by adapters of low rank (LoRA), with the weights that the run starts from left as they are.
  public struct LowRankAdaptation: Codable, Hashable, Sendable {
    /// What is adapted.
    public enum Target: String, Codable, Sendable, CaseIterable {
      /// The four projections of attention.
      case attention
      /// The three projections of feed-forward layers and of each expert; not routers.
      case feedForward = "feed_forward"

      /// The last part of the names of its modules.
      var modules: [String] {
        switch self {
        case .attention: ["q_proj", "k_proj", "v_proj", "o_proj"]
        case .feedForward: ["gate_proj", "up_proj", "down_proj"]
        }
      }
    }

    /// r.
    public var rank: Int
    /// α: what adapters add is scaled by α/r.
    public var alpha: Double
    /// What is adapted.
    public var targets: [Target]

    /// The names in a recipe.
    public enum CodingKeys: String, CodingKey, CaseIterable {
      case rank
      case alpha
      case targets
    }

    /// The last part of the names of all adapted modules.
    var modules: [String] { Target.allCases.filter(targets.contains).flatMap(\.modules) }
  }

  /// Fails if the model, whose sizes are right, cannot be adapted this way.
  func validateLowRankAdaptation(_ check: RecipeCheck) throws {
    guard let lora else { return }
    try check.require(from != nil, "lora is given: expected a key 'from', the model to adapt")
    try check.require(
      (1...model.hiddenSize).contains(lora.rank),
      "lora.rank is \(lora.rank): expected 1 to model.hidden_size, which is \(model.hiddenSize)")
    try check.number("lora.alpha", lora.alpha, in: Limits.positiveFloats)
    try check.require(
      !lora.targets.isEmpty,
      "lora.targets is empty: expected at least one of \(LowRankAdaptation.Target.allCases.map(\.rawValue).joined(separator: ", "))"
    )
  }
}
