import Foundation
import TestSupport
import Testing

@testable import Training

/// Loss curves that a change which should not change the computation must reproduce.
///
/// After one that should, `WIDEBAND_WRITE_GOLDEN=1 swift test --filter GoldenTests` writes them anew; the difference
/// belongs to the change.
struct GoldenTests {
  @Test(arguments: ["plain", "wide", "mixture"]) func theLossCurveIsTheOneThatIsKept(_ name: String) throws {
    // The curves were kept when a cosine would have reached its floor one step after the last: these are those rates.
    let losses = try TrainerFixture(name, "training.steps=21").losses(steps: 20)
    let file = Fixtures.url("golden/\(name).txt")
    if ProcessInfo.processInfo.environment["WIDEBAND_WRITE_GOLDEN"] != nil {
      let lines = losses.enumerated().map { "\($0 + 1) \($1)\n" }
      try lines.joined().write(to: file, atomically: true, encoding: .utf8)
    }
    let kept = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map { line in
      try #require(Double(line.split(separator: " ")[1]))
    }
    #expect(losses.count == 20 && kept.count == 20)
    // Processors round differently; the same one computes the same bits.
    for (step, (loss, kept)) in zip(losses, kept).enumerated() {
      #expect(abs(loss - kept) <= 1e-4 * kept, "step \(step + 1): \(loss), kept \(kept)")
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
