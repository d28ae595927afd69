import Foundation
import TestSupport
import Wideband
import WidebandData

@testable import WidebandStudy

/// A folder with prepared data and a recipe, in which a test's studies are.
final class StudyFixture {
  let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
    try FileManager.default.copyItem(at: Fixtures.url("golden/genesis.txt"), to: folder.url("text.txt"))
    try FileManager.default.copyItem(at: Fixtures.url("golden/wide.yaml"), to: folder.url("recipe.yaml"))
    var options = DataPreparation.Options()
    options.validationFraction = 0.2
    _ = try DataPreparation([folder("text.txt")], encoder: ByteEncoder(), options: options).run(into: folder("data"))
  }

  /// The study of a plan, with the folder `out`.
  func study(_ plan: String) throws -> Study {
    try Study(StudyPlan(yaml: plan, name: "plan.yaml", folder: folder.path), folder: .init(out), data: folder("data")) {
      _ in throw InputError("no model is read")
    }
  }

  var out: String { folder("out") }

  /// Does what the process of a run does: stores its recipe and metrics, with a final held-out loss.
  func train(_ run: StudyRun, _ start: StudyRun.ID?, in progress: StudyProgress, loss: Double) throws {
    var recipe = run.recipe
    recipe.from = start.map(progress.folder.paths.best)
    let path = "out/runs/\(run.id)"
    try folder.write("\(path)/recipe.yaml", text: recipe.yaml())
    try folder.write("\(path)/metrics.jsonl", text: Self.metrics(loss: loss))
  }

  /// Runs all runs that are left, in order, until one is refused.
  ///
  /// - Returns: the runs in the order in which they were started.
  @discardableResult
  func runAll(
    _ progress: StudyProgress, limit: Int = .max, loss: (StudyRun.ID) -> Double?
  ) throws -> [StudyRun.ID] {
    var started: [StudyRun.ID] = []
    while started.count < limit, let run = progress.next() {
      started.append(run.id)
      let start = try progress.start(of: run)
      if let loss = loss(run.id) {
        try train(run, start, in: progress, loss: loss)
        try progress.finish(run)
      } else {
        try progress.diverge(run)
      }
    }
    return started
  }

  /// Two evaluations, the last one at step 20; the first is 1 nat higher.
  static func metrics(loss: Double, tokensPerSecond: Double = 64) -> String {
    [(10, loss + 1), (20, loss)].map { step, loss in
      #"{"step":\#(step),"train/next_token":\#(loss),"tokens_per_second":\#(tokensPerSecond),"#
        + #""validation/next_token":\#(loss),"validation/bits_per_byte":\#(loss / 2),"peak_bytes":1000000,"#
        + #""connection/reads|x":0.5}"# + "\n"
    }.joined()
  }
}
