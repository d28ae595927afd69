/// The learning rate over time: up in a line, then along a shape.
public struct ScheduleSettings: Codable, Hashable, Sendable {
  /// The shape after the warm-up.
  public enum Kind: String, Codable, Sendable, CaseIterable {
    /// Half a cosine from the highest rate to the floor.
    case cosine
    /// The highest rate, then a line to the floor.
    case warmupStableDecay = "warmup_stable_decay"
    /// The highest rate throughout.
    case constant
  }

  /// The shape after the warm-up.
  public var kind: Kind
  /// Steps of the warm-up.
  public var warmupSteps: Int
  /// The last rate as a fraction of the highest.
  public var floor: Double
  /// The fraction of all steps that a warm-up-stable-decay schedule spends going down.
  public var decayFraction: Double

  /// The names in a recipe.
  public enum CodingKeys: String, CodingKey, CaseIterable {
    case kind
    case warmupSteps = "warmup_steps"
    case floor
    case decayFraction = "decay_fraction"
  }
}
