import ArgumentParser
import Foundation
import Wideband
import WidebandCheckedInput

/// `wideband report`: compares finished runs.
struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Compare runs: a table, a sample of each, and an HTML page with their curves.",
    discussion: """
      The other runs are compared with the first one. The page is self-contained and needs no network.

      EXAMPLE:
        wideband report plain=runs/plain wide=runs/wide --output report.html --prompt "And God said"
      """)

  @Argument(help: ArgumentHelp("Runs with their names.", valueName: "name=folder"))
  var runs: [String]
  @Option(help: ArgumentHelp("The page to write.", valueName: "file"))
  var output: String
  @Option(help: ArgumentHelp("The prompt of each model's sample.", valueName: "text"))
  var prompt = "And God said"
  @Option(help: ArgumentHelp("Tokens of each sample.", valueName: "number"))
  var tokens = 80

  func validate() throws {
    try requireFlag("--tokens", tokens, in: Limits.tokens)
  }

  func run() throws {
    let named = try runs.map { argument in
      guard let equals = argument.firstIndex(of: "="), equals != argument.startIndex,
        let folder = Optional(argument[argument.index(after: equals)...]), !folder.isEmpty
      else { throw CommandError("\(quoted(argument)): expected name=folder") }
      return (name: String(argument[..<equals]), folder: String(folder))
    }
    for (index, run) in named.enumerated() where named[..<index].contains(where: { $0.name == run.name }) {
      throw CommandError("two runs are called \(quoted(run.name)): expected a name for each")
    }
    try requirePage(output)
    let runs = try named.map { try load($0.name, fileURL($0.folder)) }
    let report = Report(
      title: "A plain transformer and a Virtual Width Network", summary: Self.summary(runs), runs: runs)
    try AtomicFile.write(Data(report.html().utf8), to: fileURL(output))
    try StandardOutput.line(Self.table(runs))
    for run in runs {
      for sample in run.samples {
        try StandardOutput.line("\n\(run.name.onOneLine) writes: \("\(sample.prompt)\(sample.continuation)".onOneLine)")
      }
    }
    try StandardOutput.line()
    for line in Self.summary(runs) { try StandardOutput.line(line) }
    try StandardOutput.line("curves: \(printable(path: output))")
  }

  /// Fails if the page would replace a file that is not a report, such as a run's metrics.
  private func requirePage(_ path: String) throws {
    guard exists(path) else { return }
    let beginning = try openRegularFile(path).read(upToCount: Report.beginning.utf8.count) ?? Data()
    guard beginning.isEmpty || beginning.elementsEqual(Report.beginning.utf8) else {
      throw CommandError("\(printable(path: path)): is no report: expected a new file, or an earlier report to replace")
    }
  }

  private func load(_ name: String, _ folder: URL) throws -> Report.Run {
    let path = folder.appending(path: "metrics.jsonl").path
    let lines = try MetricsFile.read(path)
    guard !lines.isEmpty else { throw CommandError("\(path): there are no metrics") }
    var run = Report.Run(name: name, metrics: lines)
    let loaded = try LoadedModel(folder.appending(path: "best").resolvingSymlinksInPath())
    run.parameters = loaded.model.weights.parameterCount
    run.configuration = loaded.model.configuration.rows
    let text = try loaded.generate(prompt, options: GenerationOptions(sampleOf: tokens, seed: 1)).text
    run.samples = [(prompt, text)]
    return run
  }

  private static func summary(_ runs: [Report.Run]) -> [String] {
    guard let first = runs.first, let base = first.validationBitsPerByte.last?.value, base.isFinite, base > 0 else {
      return []
    }
    return runs.dropFirst().compactMap { run in
      guard let value = run.validationBitsPerByte.last?.value, value.isFinite else { return nil }
      let difference = 100 * (value - base) / base
      return
        "\(run.name.onOneLine) ends at \(decimal(value, 4)) bits per byte on held-out text, \(first.name.onOneLine) at "
        + "\(decimal(base, 4)): \(difference < 0 ? "" : "+")\(decimal(difference, 2))%."
    }
  }

  private static func table(_ runs: [Report.Run]) -> String {
    func row(_ columns: [String]) -> String {
      columns.enumerated().map { index, text in
        let padding = String(repeating: " ", count: max(1, 16 - text.count))
        return index == 0 ? text + padding : padding + text
      }.joined()
    }
    let header = row(["", "bits per byte", "loss, nats", "parameters", "tokens/s", "peak memory"])
    let lines = runs.map { run in
      row([
        run.name.onOneLine, run.validationBitsPerByte.last.map { decimal($0.value, 4) } ?? "-",
        run.validationLoss.map { decimal($0, 4) } ?? "-", run.parameters.map(String.init) ?? "-",
        run.tokensPerSecond.map { "\(Int(clamping: $0.rounded(.down)))" } ?? "-",
        run.peakMemory.map { "\($0 / 1_000_000) MB" } ?? "-",
      ])
    }
    return ([header] + lines).joined(separator: "\n")
  }
}
