import Foundation
import TestSupport
import Testing
import Wideband
import WidebandCheckedInput

@testable import WidebandStudy

struct StudyResultsTests {
  private let fixture: StudyFixture

  init() throws { fixture = try StudyFixture() }

  private static let plan = """
    question: "Does | width \\e help?"
    recipe: recipe.yaml
    seeds: [1, 2]
    baseline: plain
    arms:
      plain: {set: {model.virtual_width: null}, learning_rates: [0.1, 0.2]}
      wide: {learning_rates: [0.1]}
      half: {learning_rates: [0.1], set: {training.steps: 10}}
    fit: {arms: [plain, wide]}

    """

  /// The results of runs with the given final losses, by arm and rate, of the seeds in order.
  private func results(_ losses: [String: [Double?]]) throws -> (results: StudyResults, folder: StudyFolder) {
    let folder = try StudyFolder(fixture.out)
    let progress = try StudyProgress(try fixture.study(Self.plan), in: folder)
    for run in progress.study.runs {
      guard let all = losses["\(run.id.arm) \(run.id.learningRate)"] else { continue }
      guard let loss = all[Int(run.id.seed) - 1] else {
        try progress.diverge(run)
        continue
      }
      try fixture.train(run, nil, in: progress, loss: loss)
      try progress.finish(run)
    }
    try progress.writeResults()
    let tree = try JSONValue(contentsOf: fixture.folder.url("out/results.json"))
    return (try ValueDecoder("results.json").decode(StudyResults.self, from: tree), folder)
  }

  @Test("the best rate, paired differences, equal budgets and the line over r")
  func values() throws {
    let (results, _) = try results(["plain 0.1": [3, 3.5], "plain 0.2": [2.5, 2.75], "wide 0.1": [2, 2.5]])
    let plain = results.arms[0], wide = results.arms[1]
    #expect(plain.learningRate == 0.2 && plain.edge == .highest && plain.widthFactor == 1)
    #expect(wide.learningRate == 0.1 && wide.edge == nil && wide.widthFactor == 2)
    #expect(plain.loss == Summary([2.5, 2.75]) && plain.bitsPerByte == Summary([1.25, 1.375]))
    // 128 tokens a step at 64 tokens/s.
    #expect(plain.secondsPerStep == 2 && plain.tokensPerSecond == 64 && plain.peakBytes == 1_000_000)
    #expect(wide.connections == ["connection/reads|x": Summary([0.5, 0.5])].compactMapValues { $0 })
    // wide − plain: −0.5 and −0.25.
    let difference = try #require(results.differences.first)
    #expect(difference.arm == "wide" && difference.reference == "plain")
    #expect(difference.loss.difference.mean == -0.375 && difference.loss.difference.standardError == 0.125)
    #expect(difference.loss.t == -3 && difference.loss.difference.count == 2)
    let budgets = try #require(results.budgets.first)
    #expect(budgets.tokens?.difference.mean == -0.375 && budgets.time?.difference.mean == -0.375)
    // A curve falls by 1 nat between tokens 1280 and 2560: plain's losses are 0.5 and 0.25 above wide's end.
    #expect(budgets.tokensToBaseline == Summary([1920, 2240]) && budgets.reached == 2)
    // wide has more operations a token; at plain's, which end earlier on its curve, it has a higher loss.
    let ratio = plain.operationsPerToken / wide.operationsPerToken
    let expected = -0.375 + 2 * (1 - ratio)
    #expect(abs((budgets.operations?.difference.mean ?? .nan) - expected) < 1e-9)
    // Means 2.625 at log₂ 1 = 0 and 2.25 at log₂ 2 = 1.
    let fit = try #require(results.fit)
    #expect(abs(fit.intercept - 2.625) < 1e-12 && abs(fit.slope + 0.375) < 1e-12 && fit.count == 4)
  }

  @Test("a run of half the steps is compared where it ends")
  func shorterRuns() throws {
    let (results, _) = try results(["plain 0.1": [3, 3.5], "half 0.1": [2, 2]])
    // The fixture's metrics have 20 steps for it too.
    #expect(results.budgets.first?.arm == "half" && results.budgets.first?.tokens?.difference.mean == -1.25)
  }

  @Test("one seed has no standard error and no t; an arm that is worse does not reach the baseline")
  func oneSeed() throws {
    let plan = Self.plan.replacing("seeds: [1, 2]", with: "seeds: [1]")
    let folder = try StudyFolder(fixture.out)
    let progress = try StudyProgress(try fixture.study(plan), in: folder)
    try fixture.runAll(progress) { $0.arm == "wide" ? 4 : 3 }
    try progress.writeResults()
    let text = try fixture.folder.read("out/results.md")
    #expect(text.contains("| wide | plain | 1.0000 | – | – | 1 |"))
    let row = text.split(separator: "\n").first { $0.hasPrefix("| wide ") && $0.hasSuffix("| not reached |") }
    #expect(row?.contains(" | 1.0000 ± – | ") == true)
    #expect(!text.lowercased().contains("nan") && !text.contains("inf"))
    #expect(text.hasPrefix("# Does | width \\u{1b} help?\n\n4 of 4 runs are finished.\n"))
    #expect(text.contains("| arm | connection/reads\\|x |"))
  }

  @Test("diverged and missing runs are shown, and no rate with a diverged run is the best")
  func diverged() throws {
    let (results, _) = try results(["plain 0.1": [3, 3.5], "plain 0.2": [2, nil], "wide 0.1": [nil, nil]])
    #expect(results.arms[0].learningRate == 0.1 && results.arms[0].edge == .lowest)
    #expect(results.arms[1].learningRate == nil && results.arms[1].loss == nil)
    let text = try fixture.folder.read("out/results.md")
    #expect(text.contains("3 of 8 runs are finished, 3 diverged, 2 missing."))
    #expect(text.contains("| plain | 0.2 | 2.0000 | diverged | – |"))
    #expect(text.contains("| wide | diverged |"))
  }

  @Test("the page has the baseline first, and each arm once")
  func page() throws {
    _ = try results(["plain 0.1": [3, 3.5], "plain 0.2": [2, 2.5], "wide 0.1": [2, 2.5]])
    let page = try fixture.folder.read("out/report.html")
    #expect(page.contains("<h1>Does | width \\u{1b} help?</h1>") && page.contains("Results of 2 runs"))
    let rows = page.components(separatedBy: "<tr><th scope=\"row\">").dropFirst().prefix(2)
    #expect(rows.count == 2 && zip(rows, ["plain", "wide"]).allSatisfy { $0.contains("\($1)</th>") })
  }

  @Test("time left is by an arm's own speed, and else by operations")
  func time() throws {
    let runs = try fixture.study(Self.plan).runs
    let plain = try #require(runs.first { $0.id.arm == "plain" })
    let wide = try #require(runs.first { $0.id.arm == "wide" })
    var time = StudyTime()
    #expect(time.left([(plain, 20)], jobs: 1) == nil)
    time.add(plain, steps: 20, seconds: 10)
    #expect(time.left([(plain, 20), (plain, 10)], jobs: 1) == 15)
    #expect(time.left([(plain, 20), (plain, 20)], jobs: 4) == 10)
    let ratio = wide.operations / plain.operations
    #expect(abs((time.left([(wide, 20)], jobs: 1) ?? 0) - 10 * ratio) < 1e-9)
    #expect(ratio > 1.1)
  }
}
