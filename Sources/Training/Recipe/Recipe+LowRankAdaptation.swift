import WidebandCheckedInput
import WidebandLanguageModel

extension Recipe {
  /// LoRA tuning: adapters are trained, and the weights that the run starts from are frozen.
  public struct LowRankAdaptation: Codable, Hashable, Sendable {
    /// The modules that can have adapters.
    public enum Target: String, Codable, Sendable, CaseIterable {
      /// The four projections of attention.
      case attention
      /// The three projections of feed-forward layers and of experts, without routers.
      case feedForward = "feed_forward"

      /// The last name parts of the modules.
      var modules: [String] {
        switch self {
        case .attention: ["q_proj", "k_proj", "v_proj", "o_proj"]
        case .feedForward: ["gate_proj", "up_proj", "down_proj"]
        }
      }
    }

    /// r: the rank of the adapters.
    public var rank: Int
    /// α: the product B A is scaled by α/r.
    public var alpha: Double
    /// The modules with adapters.
    public var targets: [Target]

    /// The keys in a recipe.
    public enum CodingKeys: String, CodingKey, CaseIterable {
      case rank, alpha, targets
    }

    /// The last name parts of all adapted modules.
    var modules: [String] { Target.allCases.filter(targets.contains).flatMap(\.modules) }
  }

  /// Checks that the model, whose sizes are valid, can be adapted this way.
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
