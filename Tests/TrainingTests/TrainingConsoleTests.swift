import Foundation
import Testing

@testable import WidebandTraining

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

  @Test("no text of a model or name of a folder steers the terminal", arguments: [true, false])
  func text_isPrintable(isTerminal: Bool) throws {
    let fixture = try TrainerFixture("wide")
    let shown = fixture.folder("shown")
    try fixture.folder.write("shown", text: "")
    let console = try TrainingConsole(
      fixture.recipe, logPath: fixture.folder("log.txt"),
      output: try #require(FileHandle(forWritingAtPath: shown)), isTerminal: isTerminal, operationsPerToken: 1,
      peakOperations: 1)
    console.show(sample: "\u{1B}[2J\u{1B}]0;title\u{7}red\nline\u{85}\u{9B}31m", at: 7)
    console.note("run\u{1B}c: started")
    let lines = "step 7 writes: \\u{1b}[2J\\u{1b}]0;title\\u{7}red line \\u{9b}31m\nrun\\u{1b}c: started\n"
    #expect(try fixture.folder.read("shown") == lines)
    let logged = try fixture.folder.read("log.txt").split(separator: "\n").map {
      $0.split(separator: " ", maxSplits: 1)[1]
    }
    #expect(logged == lines.split(separator: "\n"))
  }
}
