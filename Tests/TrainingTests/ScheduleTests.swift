import Testing

@testable import Training

@Suite struct ScheduleTests {
  private func factors(
    _ kind: ScheduleSettings.Kind, warmup: Int = 4, floor: Double = 0.1, decay: Double = 0.25, steps: Int = 20,
    at positions: [Int]
  ) -> [Double] {
    let settings = ScheduleSettings(kind: kind, warmupSteps: warmup, floor: floor, decayFraction: decay)
    let schedule = Schedule(settings, steps: steps)
    return positions.map { (schedule.factor(at: $0) * 1e9).rounded() / 1e9 }
  }

  @Test(arguments: ScheduleSettings.Kind.allCases)
  func warmUpRisesInALine(kind: ScheduleSettings.Kind) {
    #expect(factors(kind, at: [0, 1, 2, 3, 4]) == [0.25, 0.5, 0.75, 1, 1])
    #expect(factors(kind, warmup: 0, at: [0]) == [1])
    #expect(factors(kind, warmup: 20, at: [0, 19]) == [0.05, 1])
  }

  @Test func cosineIsHalfwayInTheMiddleAndEndsAtTheFloor() {
    #expect(factors(.cosine, at: [4, 12, 20, 21, 1000]) == [1, 0.55, 0.1, 0.1, 0.1])
    #expect(factors(.cosine, floor: 0, at: [8, 16]) == [0.853553391, 0.146446609])
  }

  @Test func stableDecayHoldsAndThenFallsInALine() {
    #expect(factors(.warmupStableDecay, at: [5, 14, 15, 16, 19, 20, 50]) == [1, 1, 1, 0.82, 0.28, 0.1, 0.1])
    #expect(factors(.warmupStableDecay, decay: 0, at: [19]) == [1])
    #expect(factors(.warmupStableDecay, warmup: 0, floor: 0, decay: 1, at: [0, 10, 20]) == [1, 0.5, 0])
  }

  @Test func constantStays() {
    #expect(factors(.constant, at: [4, 19, 100]) == [1, 1, 1])
  }
}
