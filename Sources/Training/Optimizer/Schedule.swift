import Foundation

/// The learning rate schedule: the rate of each step as a fraction of the maximum, with a linear warm-up and a decay to
/// the floor.
///
///     warm-up                (k + 1) / w                                for k < w
///     cosine                 f + (1 - f) (1 + cos π p) / 2              p = (k - w) / (S - 1 - w)
///     warm-up-stable-decay   1 for k < S - d, then 1 - (1 - f) q        q = (k + 1 - S + d) / d
///     constant               1
///
/// with w warm-up steps, S steps in all, d steps of decay and the floor f. Steps k count from 0. The last step, k = S -
/// 1, and all after it have the floor exactly. A run that consists of warm-up alone ends at 1.
public struct Schedule: Codable, Hashable, Sendable {
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

  /// The fraction of the maximum rate at step `step`, from 0, of a run of `steps` steps.
  public func factor(at step: Int, of steps: Int) -> Double {
    let warmup = Double(warmupSteps), k = Double(step), stepCount = Double(steps)
    if step < warmupSteps { return (k + 1) / warmup }
    // A run of one step has the maximum rate: with a floor of 0 it would change nothing.
    if stepCount == 1, step == 0 { return 1 }
    switch kind {
    case .constant:
      return 1
    case .cosine:
      return decayed((1 - cos(.pi * fraction(k - warmup, of: stepCount - 1 - warmup))) / 2)
    case .warmupStableDecay:
      let exact = stepCount * decayFraction
      let decaySteps = exact > 0 ? max(1, exact.rounded()) : 0
      let taken = k + 1 - (stepCount - decaySteps)
      return taken > 0 && decaySteps > 0 ? decayed(fraction(taken, of: decaySteps)) : 1
    }
  }

  /// `steps` as a fraction of `all`, clamped to 0 to 1.
  private func fraction(_ steps: Double, of all: Double) -> Double { all > 0 ? min(1, max(0, steps / all)) : 1 }

  /// The rate after a fraction of the decay.
  private func decayed(_ fraction: Double) -> Double {
    // 1 - (1 - f) is not f in floating point, and the last rate is exactly the floor.
    fraction < 1 ? 1 - (1 - floor) * fraction : floor
  }
}
