import Foundation

/// The learning rate of each step as a fraction of the highest: up in a line, then along a shape.
///
///     warm-up        (k + 1) / w                                        for k < w
///     cosine         f + (1 - f) (1 + cos π p) / 2                      p = (k - w) / (S - w)
///     warm-up-stable-decay   1 until step S - d, then 1 - (1 - f) q     q = (k - S + d) / d
///     constant       1
///
/// with w warm-up steps, S steps in all, d steps of decay and f the floor. Step k counts from 0, so that the first
/// step is not lost; the floor would be reached at step S, and holds from there on.
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
    if step < settings.warmupSteps { return Double(step + 1) / Double(settings.warmupSteps) }
    switch settings.kind {
    case .constant:
      return 1
    case .cosine:
      return descend((1 - cos(.pi * progress(of: step, from: Double(settings.warmupSteps)))) / 2)
    case .warmupStableDecay:
      return descend(progress(of: step, from: stepCount - (stepCount * settings.decayFraction).rounded()))
    }
  }

  /// How much of the way from step `start` to the last lies behind, 0 to 1.
  private func progress(of step: Int, from start: Double) -> Double {
    guard stepCount > start else { return Double(step) < stepCount ? 0 : 1 }
    return min(1, max(0, (Double(step) - start) / (stepCount - start)))
  }

  private func descend(_ fraction: Double) -> Double { 1 - (1 - settings.floor) * fraction }
}
