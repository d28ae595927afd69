import Foundation
import TestSupport
import Testing
import Wideband

@testable import WidebandStudy

/// Studies whose runs are files that tests write.
struct StudyProgressTests {
  private let fixture: StudyFixture

  init() throws { fixture = try StudyFixture() }

  private static let plan = """
    question: q
    recipe: recipe.yaml
    seeds: [1, 2]
    learning_rates: [0.1, 0.2]
    baseline: plain
    arms:
      tuned:
        from: wide
        set: {model: null, training.steps: 8, direct_decoding: {encoding_layers: 0, decoding_layers: 1, gate: select, \
    cycles: [2], objective: distillation, frozen: [embedding]}}
        learning_rates: [0.1]
      plain: {set: {model.virtual_width: null}}
      wide: {learning_rates: [0.1, 0.2, 0.4]}

    """

  private func progress(_ plan: String = Self.plan) throws -> StudyProgress {
    let study = try fixture.study(plan)
    let folder = try StudyFolder(fixture.out)
    try folder.requireSameRecipes(study)
    return try StudyProgress(study, in: folder)
  }

  /// The middle rate is the best one of wide, except that the lowest is best for the first seed.
  private func loss(_ id: StudyRun.ID) -> Double {
    switch (id.learningRate, id.seed) {
    case (0.1, 1): 1.9
    case (0.2, _): 2
    default: 3
    }
  }

  @Test("first seeds come first, and an arm after the one that it starts from")
  func order() throws {
    let started = try fixture.runAll(progress(), loss: loss)
    #expect(
      started.map(\.description) == [
        "plain/lr-0.1/seed-1", "plain/lr-0.2/seed-1", "wide/lr-0.1/seed-1", "wide/lr-0.2/seed-1", "wide/lr-0.4/seed-1",
        "plain/lr-0.1/seed-2", "plain/lr-0.2/seed-2", "wide/lr-0.1/seed-2", "wide/lr-0.2/seed-2", "wide/lr-0.4/seed-2",
        "tuned/lr-0.1/seed-1", "tuned/lr-0.1/seed-2",
      ])
  }

  @Test("a run starts from the run of the same seed at the rate with the lowest mean loss over seeds")
  func start() throws {
    let progress = try progress()
    try fixture.runAll(progress, limit: 10, loss: loss)
    let tuned = try #require(progress.next())
    #expect(tuned.id.description == "tuned/lr-0.1/seed-1")
    #expect(try progress.start(of: tuned)?.description == "wide/lr-0.2/seed-1")
  }

  @Test("a study that was killed starts what is not there, and what was not finished again")
  func resumption() throws {
    try fixture.runAll(progress(), limit: 4, loss: loss)
    // One run is started and killed.
    do {
      let killed = try progress()
      let run = try #require(killed.next())
      #expect(run.id.description == "wide/lr-0.4/seed-1")
      try fixture.train(run, nil, in: killed, loss: 3)
    }
    let rest = try fixture.runAll(progress(), loss: loss)
    #expect(rest.count == 8 && rest.first?.description == "wide/lr-0.4/seed-1")
    #expect(try fixture.runAll(progress(), loss: loss).isEmpty)
  }

  @Test("further arms, seeds and rates add runs; runs that would change are an error that names them")
  func changedPlans() throws {
    try fixture.runAll(progress(), loss: loss)
    let more = Self.plan.replacing("seeds: [1, 2]", with: "seeds: [1, 2, 3]") + "  other: {learning_rates: [0.3]}\n"
    #expect(try fixture.runAll(progress(more), loss: loss).count == 9)
    let changed = more.replacing("other: {", with: "other: {set: {training.steps: 9}, ")
    let error = #expect(throws: InputError.self) { try progress(changed) }
    let sentence = error.map { "\($0)" } ?? ""
    #expect(
      sentence.hasPrefix(
        "plan.yaml: would change runs of \(fixture.out): other/lr-0.3/seed-1: training.steps is 9, and was 20; "))
    #expect(try fixture.folder.read("out/runs/other/lr-0.3/seed-1/recipe.yaml").contains("steps: 20"))
  }

  @Test("a run does not start from another rate than before: it fails, and nothing is overwritten")
  func changedStart() throws {
    try fixture.runAll(progress(), limit: 11, loss: loss)
    let more = Self.plan.replacing("[0.1, 0.2, 0.4]", with: "[0.1, 0.2, 0.4, 0.8]")
    // The first seed of tuned is finished. The second is started from rate 0.2, and then 0.8 is the best rate.
    do {
      let killed = try progress()
      let run = try #require(killed.next())
      try fixture.train(run, try killed.start(of: run), in: killed, loss: 1)
    }
    let progress = try progress(more)
    let new = try fixture.runAll(progress, limit: 2) { _ in 0.5 }
    #expect(new.map(\.description) == ["wide/lr-0.8/seed-1", "wide/lr-0.8/seed-2"])
    #expect(progress.failures.map(\.run.description) == ["tuned/lr-0.1/seed-1"])
    #expect(progress.failures.first?.reason.contains("expected the same, or neither its folder") == true)
    let run = try #require(progress.next())
    let error = #expect(throws: InputError.self) { try progress.start(of: run) }
    #expect(
      error.map { "\($0)" }?.hasPrefix(
        "tuned/lr-0.1/seed-2: from is '\(fixture.out)/runs/wide/lr-0.8/seed-2/best', and was ") == true)
  }

  @Test("a rate with a diverged run is not the best; a diverged run is not repeated")
  func divergence() throws {
    let progress = try progress()
    try fixture.runAll(progress, limit: 10) { $0.description == "wide/lr-0.2/seed-2" ? nil : loss($0) }
    let tuned = try #require(progress.next())
    #expect(try progress.start(of: tuned)?.learningRate == 0.1)
    #expect(progress.runs(.diverged).map(\.id.description) == ["wide/lr-0.2/seed-2"])
  }

  @Test("runs that start from an arm with a failed run do not start, the others do")
  func failure() throws {
    let progress = try progress()
    while let run = progress.next() {
      if run.id.description == "wide/lr-0.1/seed-1" {
        progress.fail(run, "why")
      } else {
        try fixture.train(run, nil, in: progress, loss: 2)
        try progress.finish(run)
      }
    }
    #expect(progress.runs(.finished).count == 9)
    #expect(progress.runs(.waiting).map(\.id.arm) == ["tuned", "tuned"])
    #expect(progress.failures.map(\.reason) == ["why"])
  }

  @Test("a folder with other files, and one in use, are refused")
  func folders() throws {
    let other = fixture.folder("other")
    try fixture.folder.write("other/results.md", text: "mine")
    let occupied = #expect(throws: RunDirectoryError.self) { try StudyFolder(other) }
    #expect(
      occupied.map { "\($0)" } == "\(other): holds results.md, but no folder runs of a study: expected another folder")
    let first = try StudyFolder(fixture.out)
    let inUse = #expect(throws: RunDirectoryError.self) { try StudyFolder(fixture.out) }
    #expect(inUse == .inUse(path: first.paths.folder, process: "\(getpid())"))
  }

  @Test("the end of a run's metrics is its last whole line")
  func tail() throws {
    let path = try fixture.folder.write("run/metrics.jsonl", text: #"{"step":1,"train/next_token":3.5}"# + "\n")
    #expect(RunTail.last(fixture.folder("run")).map { $0 == (1, 3.5) } == true)
    try fixture.folder.write(
      "run/metrics.jsonl", text: String(contentsOfFile: path, encoding: .utf8) + #"{"step":2,"tr"#)
    #expect(RunTail.last(fixture.folder("run"))?.step == 1)
    #expect(RunTail.last(fixture.folder("nowhere")) == nil)
  }
}
