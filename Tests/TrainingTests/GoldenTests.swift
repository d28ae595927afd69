import Foundation
import TestSupport
import Testing

@testable import WidebandTraining

/// Loss curves that must not change unless the computation does.
///
/// After such a change, `WIDEBAND_WRITE_GOLDEN=1 swift test --filter GoldenTests` overwrites the expected curves;
/// commit them with the change.
struct GoldenTests {
  @Test(arguments: ["plain", "wide", "mixture"]) func lossCurve_equalsTheStoredOne(_ name: String) throws {
    // 21 steps in the recipe, as the stored curves are of a schedule that reaches its floor one step after the last.
    let losses = try TrainerFixture(name, "training.steps=21").losses(steps: 20)
    let file = Fixtures.url("golden/\(name).txt")
    if ProcessInfo.processInfo.environment["WIDEBAND_WRITE_GOLDEN"] != nil {
      let lines = losses.enumerated().map { "\($0 + 1) \($1)\n" }
      try lines.joined().write(to: file, atomically: true, encoding: .utf8)
    }
    let stored = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map { line in
      try #require(Double(line.split(separator: " ")[1]))
    }
    #expect(losses.count == 20 && stored.count == 20)
    // Processors round differently; the same processor computes the same bits.
    for (step, (loss, expected)) in zip(losses, stored).enumerated() {
      #expect(abs(loss - expected) <= 1e-4 * expected, "step \(step + 1): \(loss), expected \(expected)")
    }
    #expect(losses[19] < 0.85 * losses[0], "the model learns")
  }

  @Test(arguments: ["plain", "wide", "mixture"]) func theSameBitsTwice(_ name: String) throws {
    let fixture = try TrainerFixture(name)
    #expect(try fixture.losses(steps: 6) == fixture.losses(steps: 6))
  }

  @Test func theSeedDecides() throws {
    let first = try TrainerFixture("wide").losses(steps: 1)
    #expect(try TrainerFixture("wide", "training.seed=2").losses(steps: 1) != first)
  }
}
