import Foundation
import WidebandCheckedInput
import WidebandCheckpoint
import WidebandTraining

/// How a run of a study ended, so that it is not repeated.
public enum StudyOutcome: String, Codable, Sendable, CaseIterable {
  /// All steps are taken.
  case finished
  /// A loss, gradient or weight was not finite: a result too.
  case diverged
}

/// The folder of a study, locked by one process at a time.
///
///     FOLDER/runs/wide/lr-0.003/seed-1/      the run folder
///     FOLDER/runs/wide/lr-0.003/seed-1.txt   the output of its processes
///     FOLDER/runs/wide/lr-0.003/seed-1.json  how it ended
///     FOLDER/results.md, results.json, report.html
public final class StudyFolder {
  /// The paths in the folder.
  public struct Paths: Sendable {
    /// The path of the folder.
    public let folder: String

    /// The paths in a folder.
    public init(_ folder: String) { self.folder = folder }

    /// The folder of a run.
    public func run(_ id: StudyRun.ID) -> String { "\(folder)/runs/\(id)" }
    /// The link to a run's best checkpoint.
    public func best(_ id: StudyRun.ID) -> String { "\(run(id))/best" }
    /// The output of a run's processes.
    public func log(_ id: StudyRun.ID) -> String { "\(run(id)).txt" }
    /// The output of `evaluate` for a run.
    public func evaluation(_ run: StudyRun) -> String {
      "\(self.run(run.id)).cycles-\(run.cycles.map(String.init).joined(separator: "-")).json"
    }
    /// A file of results.
    public func result(_ name: String) -> String { "\(folder)/\(name)" }
    fileprivate func outcome(_ id: StudyRun.ID) -> String { "\(run(id)).json" }
  }

  /// The names of the files of results.
  public static let results = (markdown: "results.md", json: "results.json", page: "report.html")

  /// The paths in the folder.
  public let paths: Paths
  private let lock: RunDirectoryLock

  /// How an outcome is stored.
  private struct Record: Codable {
    let outcome: StudyOutcome
    /// The resolved recipe: a run that diverged at once leaves no folder.
    let recipe: String
  }

  /// Creates and locks the folder.
  ///
  /// - Throws: `RunDirectoryError` if it is another's, is locked by another process, or cannot be written.
  public init(_ path: String) throws {
    let path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    paths = Paths(path)
    let runs = "\(path)/runs"
    if !isFolder(runs) {
      let own = [Self.results.markdown, Self.results.json, Self.results.page, "recipe.yaml"]
      if let name = own.first(where: { exists("\(path)/\($0)") }) {
        throw RunDirectoryError.occupied(
          path: path, sentence: "holds \(name), but no folder runs of a study: expected another folder")
      }
    }
    if let reason = makeFolder(path) { throw Self.failure(path, reason) }
    lock = try RunDirectoryLock(path)
    if let reason = makeFolder(runs) { throw Self.failure(runs, reason) }
  }

  /// The outcome of a run that ended; nil for one that has to be started or resumed.
  ///
  /// - Throws: `InputError` if its file is damaged.
  public func outcome(of run: StudyRun) throws -> StudyOutcome? {
    guard let record = try record(of: run.id) else { return nil }
    guard record.outcome == .finished else { return .diverged }
    return exists("\(paths.run(run.id))/recipe.yaml") ? .finished : nil
  }

  /// Whether the evaluation of a run at its cycle lengths is missing.
  public func needsEvaluation(_ run: StudyRun) -> Bool { !run.cycles.isEmpty && !exists(paths.evaluation(run)) }

  /// Creates the folder of a run's log and outcome.
  ///
  /// - Throws: `RunDirectoryError` with the system's reason.
  public func makeParent(of run: StudyRun) throws {
    let path = fileURL(paths.log(run.id)).deletingLastPathComponent().path
    if let reason = makeFolder(path) { throw Self.failure(path, reason) }
  }

  private static func failure(_ path: String, _ reason: String) -> RunDirectoryError {
    .inaccessible(path: path, sentence: "the folder cannot be created: \(reason)")
  }

  /// Stores the outcome of a run.
  ///
  /// - Throws: `RunDirectoryError` or `CheckpointError` if the file cannot be written.
  public func record(_ outcome: StudyOutcome, of run: StudyRun) throws {
    try makeParent(of: run)
    let recipe = try storedRecipe(of: run.id) ?? run.recipe
    let record = Record(outcome: outcome, recipe: try recipe.yaml())
    try AtomicFile.write(try JSONEncoder.indented.encode(record), to: fileURL(paths.outcome(run.id)))
  }

  /// The recipe that a run was started with; nil for one that was not started.
  ///
  /// - Throws: `InputError` if it is damaged.
  func storedRecipe(of id: StudyRun.ID) throws -> Recipe? {
    let path = "\(paths.run(id))/recipe.yaml"
    if exists(path) { return try Recipe(yaml: Recipe.text(of: path), name: path) }
    return try record(of: id).map { try Recipe(yaml: $0.recipe, name: paths.outcome(id)) }
  }

  private func record(of id: StudyRun.ID) throws -> Record? {
    let path = paths.outcome(id)
    guard exists(path) else { return nil }
    let tree = try JSONValue(contentsOf: fileURL(path))
    return try ValueDecoder(printable(path: path)).decode(Record.self, from: tree)
  }
}
