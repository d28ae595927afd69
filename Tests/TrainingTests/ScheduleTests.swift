import Testing

@testable import WidebandTraining

@Suite struct ScheduleTests {
  private func factors(
    _ kind: Schedule.Kind, warmup: Int = 4, floor: Double = 0.1, decay: Double = 0.25, steps: Int = 20,
    at positions: [Int]
  ) -> [Double] {
    let schedule = Schedule(kind: kind, warmupSteps: warmup, floor: floor, decayFraction: decay)
    return positions.map { (schedule.factor(at: $0, of: steps) * 1e9).rounded() / 1e9 }
  }

  @Test(arguments: Schedule.Kind.allCases)
  func warmUpRisesInALine(kind: Schedule.Kind) {
    #expect(factors(kind, at: [0, 1, 2, 3, 4]) == [0.25, 0.5, 0.75, 1, 1])
    #expect(factors(kind, warmup: 0, at: [0]) == [1])
    #expect(factors(kind, warmup: 20, at: [0, 19]) == [0.05, 1])
  }

  @Test func cosineIsHalfwayInTheMiddleAndEndsAtTheFloor() {
    #expect(factors(.cosine, steps: 21, at: [4, 12, 20, 21, 1000]) == [1, 0.55, 0.1, 0.1, 0.1])
    #expect(factors(.cosine, floor: 0, steps: 21, at: [8, 16]) == [0.853553391, 0.146446609])
  }

  @Test func stableDecayHoldsAndThenFallsInALine() {
    #expect(factors(.warmupStableDecay, at: [5, 14, 15, 16, 18, 19, 50]) == [1, 1, 0.82, 0.64, 0.28, 0.1, 0.1])
    #expect(factors(.warmupStableDecay, decay: 0, at: [19]) == [1])
    #expect(factors(.warmupStableDecay, warmup: 0, floor: 0, decay: 1, at: [0, 9, 19]) == [0.95, 0.5, 0])
    // With two decay steps, two steps are below the maximum rate.
    #expect(
      factors(.warmupStableDecay, warmup: 2, floor: 0, decay: 0.2, steps: 10, at: Array(0..<10))
        == [0.5, 1, 1, 1, 1, 1, 1, 1, 0.5, 0])
    // A positive decay fraction decays at least the last step.
    #expect(factors(.warmupStableDecay, decay: 0.01, at: [18, 19]) == [1, 0.1])
  }

  @Test(
    arguments: [Schedule.Kind.cosine, .warmupStableDecay],
    [
      (steps: 2, warmup: 0, floor: 0.0), (5, 3, 0.3), (10, 2, 0.1), (7, 6, 0.1), (1000, 37, 0.7),
      (1_000_000_000_000, 0, 0.1),
    ])
  func theLastRateIsTheFloorItself(_ kind: Schedule.Kind, _ run: (steps: Int, warmup: Int, floor: Double)) {
    let schedule = Schedule(kind: kind, warmupSteps: run.warmup, floor: run.floor, decayFraction: 0.2)
    #expect(schedule.factor(at: run.steps - 1, of: run.steps) == run.floor)
    #expect(run.steps - run.warmup < 2 || schedule.factor(at: run.steps - 2, of: run.steps) >= run.floor)
  }

  @Test func aRunOfOneStepTakesItAtTheHighestRate() {
    for kind in Schedule.Kind.allCases { #expect(factors(kind, warmup: 0, floor: 0, steps: 1, at: [0]) == [1]) }
  }

  @Test func constantStays() {
    #expect(factors(.constant, at: [4, 19, 100]) == [1, 1, 1])
  }
}
