/// The settings of the learning rate schedule: a linear warm-up, then a shape.
public struct ScheduleSettings: Codable, Hashable, Sendable {
  /// The shape after the warm-up.
  public enum Kind: String, Codable, Sendable, CaseIterable {
    /// Half a cosine from the maximum rate to the floor.
    case cosine
    /// The maximum rate, then a linear decay to the floor.
    case warmupStableDecay = "warmup_stable_decay"
    /// The maximum rate.
    case constant
  }

  /// The shape after the warm-up.
  public var kind: Kind
  /// The number of warm-up steps.
  public var warmupSteps: Int
  /// The last rate as a fraction of the maximum.
  public var floor: Double
  /// The fraction of all steps in which a warm-up-stable-decay schedule decays.
  public var decayFraction: Double

  /// The keys in a recipe.
  public enum CodingKeys: String, CodingKey, CaseIterable {
    case kind
    case warmupSteps = "warmup_steps"
    case floor
    case decayFraction = "decay_fraction"
  }
}
