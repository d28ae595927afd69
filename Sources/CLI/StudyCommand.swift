import ArgumentParser
import Foundation
import Wideband
import WidebandCheckedInput

/// `wideband study`: trains the arms of a plan and compares them.
struct StudyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "study",
    abstract: "Train the arms of a plan over seeds and learning rates, and compare them.",
    discussion: """
      The plan is a YAML file; docs/studies.md has its keys. Each run is a process of `wideband train` in FOLDER/runs. \
      Ctrl-C saves the runs and ends the study. Started again, with more arms or seeds too, it continues unfinished runs, \
      starts those that are not there yet and repeats none. FOLDER/results.md, results.json and report.html have the \
      results so far. A run that diverges is a result; one that fails is named, and the status is not 0 in the end.

      EXAMPLES:
        wideband study configs/studies/initial-values.yaml --data data/tokens --output studies/initial-values --jobs 2
        wideband study configs/studies/initial-values.yaml --data data/tokens --output studies/initial-values --report-only
      """)

  @Argument(help: ArgumentHelp("The plan, a YAML file.", valueName: "plan"))
  var plan: String
  @Option(help: ArgumentHelp("The study's folder.", valueName: "folder"))
  var output: String
  @Option(
    help: ArgumentHelp("The folder of `data prepare`; by default the one that the recipes name.", valueName: "folder"))
  var data: String?
  @Option(help: ArgumentHelp("Runs at once, which share the threads.", valueName: "number"))
  var jobs = 1
  @Flag(help: "Start nothing, and write the results of the runs that are finished.")
  var reportOnly = false
  @OptionGroup var machine: MachineOptions

  func validate() throws { try requireFlag("--jobs", jobs, in: Limits.threads) }

  func run() throws {
    try LaunchCommand.requireNoRank("study")
    _ = try Device(machine.device)
    guard let executable = Bundle.main.executablePath else {
      throw CommandError("the path of this program is not known to the system")
    }
    let plan = try StudyPlan(contentsOf: plan)
    let study = try Study(plan, folder: StudyFolder.Paths(output), data: data) {
      try ModelConfiguration(ModelFolder(fileURL($0)))
    }
    guard !reportOnly || exists("\(output)/runs") else {
      throw CommandError("\(printable(path: output)): there is no such study")
    }
    let folder = try StudyFolder(output)
    try folder.requireSameRecipes(study)
    let progress = try StudyProgress(study, in: folder)
    if !reportOnly {
      try folder.waitForOtherProcesses(study.runs)
      let threads = machine.threads ?? Machine.defaultThreads.count
      let commands = StudyCommands(machine: machine, threadsOfRun: max(1, threads / jobs), paths: folder.paths)
      guard try !StudyRunner(progress, commands, executable: executable, jobs: jobs).run() else {
        try StandardOutput.line("stopped; continue with: \(commandLine)")
        throw ExitCode(130)
      }
    }
    try progress.writeResults()
    let files = [StudyFolder.results.markdown, StudyFolder.results.json, StudyFolder.results.page]
    let names = files.map { printable(path: folder.paths.result($0)) }
    try StandardOutput.line("results: \(names.joined(separator: ", "))")
    try requireNoFailure(progress)
  }

  /// Fails if a run failed, or could not start because the arm that it starts from failed.
  private func requireNoFailure(_ progress: StudyProgress) throws {
    guard let first = progress.failures.first else { return }
    let waiting = reportOnly ? 0 : progress.runs(.waiting).count
    let blocked = waiting > 0 ? ", and \(waiting) could not start without them" : ""
    throw CommandError(
      "\(progress.failures.count) of \(progress.study.runs.count) runs failed\(blocked); the first: \(first.run): "
        + first.reason)
  }

  /// The command that continues the study.
  private var commandLine: String {
    var words = ["wideband", "study", plan, "--output", output]
    if let data { words += ["--data", data] }
    if jobs > 1 { words += ["--jobs", "\(jobs)"] }
    words += ["--threads", "\(machine.threads ?? Machine.defaultThreads.count)"]
    if machine.device != "cpu" { words += ["--device", machine.device] }
    if machine.kernels != .fused { words += ["--kernels", "\(machine.kernels)"] }
    return words.map { printable(path: $0) }.joined(separator: " ")
  }
}

/// The command lines of the processes of a study.
struct StudyCommands {
  let machine: MachineOptions
  /// The threads of each run.
  let threadsOfRun: Int
  let paths: StudyFolder.Paths

  private var machineArguments: [String] {
    ["--device=\(machine.device)", "--threads=\(threadsOfRun)", "--kernels=\(machine.kernels)"]
  }

  /// The arguments that train a run, or resume it.
  ///
  /// - Parameter start: the run from whose best checkpoint it starts.
  func training(_ run: StudyRun, from start: StudyRun.ID?) -> [String] {
    ["train", "--recipe=\(run.recipePath)", "--output=\(paths.run(run.id))", "--resume", "auto"]
      + (start.map { ["--from=\(paths.best($0))"] } ?? []) + run.changes.map { "--set=\($0)" } + machineArguments
  }

  /// The arguments that evaluate a run at its cycle lengths.
  func evaluation(_ run: StudyRun, from start: StudyRun.ID?) -> [String] {
    [
      "evaluate", "--model=\(paths.best(run.id))", "--data=\(run.recipe.data ?? "")",
      "--cycle=\(run.cycles.map(String.init).joined(separator: ","))", "--json",
    ] + (start.map { ["--untuned=\(paths.best($0))"] } ?? []) + machineArguments
  }
}
