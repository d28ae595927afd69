import Foundation

/// The learning rate of each step as a fraction of the highest: up in a line, then along a shape to the floor.
///
///     warm-up                (k + 1) / w                                for k < w
///     cosine                 f + (1 - f) (1 + cos π p) / 2              p = (k - w) / (S - 1 - w)
///     warm-up-stable-decay   1 for k < S - d, then 1 - (1 - f) q        q = (k + 1 - S + d) / d
///     constant               1
///
/// with w warm-up steps, S steps in all, d steps of decay and f the floor. Step k counts from 0, so that the first
/// step is not lost; the last one, k = S - 1, has the floor exactly, and so has whatever follows it. A run that is all
/// warm-up ends at 1.
public struct Schedule: Sendable {
  private let settings: ScheduleSettings
  private let stepCount: Double

  /// A schedule for a run of `steps` steps.
  public init(_ settings: ScheduleSettings, steps: Int) {
    self.settings = settings
    stepCount = Double(steps)
  }

  /// The fraction at step `step`, a pure function of it.
  public func factor(at step: Int) -> Double {
    let warmup = Double(settings.warmupSteps), k = Double(step)
    if step < settings.warmupSteps { return (k + 1) / warmup }
    // The only step of a run has the highest rate: at a floor of 0 it would change nothing.
    if stepCount == 1, step == 0 { return 1 }
    switch settings.kind {
    case .constant:
      return 1
    case .cosine:
      return descend((1 - cos(.pi * share(k - warmup, of: stepCount - 1 - warmup))) / 2)
    case .warmupStableDecay:
      let share = stepCount * settings.decayFraction
      let decay = share > 0 ? max(1, share.rounded()) : 0
      let begun = k + 1 - (stepCount - decay)
      return begun > 0 && decay > 0 ? descend(self.share(begun, of: decay)) : 1
    }
  }

  /// The share of the way down that `steps` of `all` are, 0 to 1.
  private func share(_ steps: Double, of all: Double) -> Double { all > 0 ? min(1, max(0, steps / all)) : 1 }

  private func descend(_ share: Double) -> Double {
    // 1 - (1 - f) is not f in floating point, and the last rate is the floor itself.
    share < 1 ? 1 - (1 - settings.floor) * share : settings.floor
  }
}
