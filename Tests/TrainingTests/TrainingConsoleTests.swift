import Testing

@testable import Training

struct TrainingConsoleTests {
  private let summary = ProgressSummary(parts: [
    (0, "step 12/100000"), (1, "loss 4.1234"), (4, "rate 3.00e-03"), (3, "12345 tokens/s"), (6, "52% of peak"),
    (5, "196 MB"), (2, "2 h 22 min left"),
  ])

  @Test func theLineFitsAnyTerminal() {
    for columns in -1...120 { #expect(summary.line(within: columns).count <= max(0, columns)) }
    #expect(
      summary.line(within: .max)
        == "step 12/100000  loss 4.1234  rate 3.00e-03  12345 tokens/s  52% of peak  196 MB  2 h 22 min left")
    #expect(
      summary.line(within: 79)
        == "step 12/100000  loss 4.1234  rate 3.00e-03  12345 tokens/s  2 h 22 min left")
    #expect(summary.line(within: 50) == "step 12/100000  loss 4.1234  2 h 22 min left")
    #expect(summary.line(within: 20) == "step 12/100000")
    #expect(summary.line(within: 6) == "step 1")
  }

  @Test(arguments: [
    (0.4, "0 s"), (59.6, "1 min 0 s"), (7260, "2 h 1 min"), (200_000, "2 d 7 h"), (1e12, "over 100 years"),
    (.infinity, "over 100 years"), (.nan, "0 s"), (-5, "0 s"), (9.3e18, "over 100 years"),
  ])
  func everyDurationHasWords(_ seconds: Double, _ words: String) {
    #expect(TrainingConsole.duration(seconds) == words)
  }
}
