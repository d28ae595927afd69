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
public struct Schedule: Sendable {
  private let settings: ScheduleSettings
  private let stepCount: Double

  /// A schedule for a run of `steps` steps.
  public init(_ settings: ScheduleSettings, steps: Int) {
    self.settings = settings
    stepCount = Double(steps)
  }

  /// The fraction of the maximum rate at step `step`, from 0.
  public func factor(at step: Int) -> Double {
    let warmup = Double(settings.warmupSteps), k = Double(step)
    if step < settings.warmupSteps { return (k + 1) / warmup }
    // A run of one step has the maximum rate: with a floor of 0 it would change nothing.
    if stepCount == 1, step == 0 { return 1 }
    switch settings.kind {
    case .constant:
      return 1
    case .cosine:
      return decayed((1 - cos(.pi * fraction(k - warmup, of: stepCount - 1 - warmup))) / 2)
    case .warmupStableDecay:
      let exact = stepCount * settings.decayFraction
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
    fraction < 1 ? 1 - (1 - settings.floor) * fraction : settings.floor
  }
}
