import ArgumentParser
import Foundation
import Wideband
import WidebandCheckedInput

/// Reads mutated files of every format with the library, in worker processes that may crash.
///
///     swift run -c release Fuzz                          # every target for ten seconds
///     swift run -c release Fuzz --seconds 600 --seed 7
///     swift run -c release Fuzz --targets recipe,config --count 1000000
///     scripts/fuzz --libfuzzer tokenizer --seconds 300   # guided by coverage, with the address sanitizer
///
/// An input is a function of seed, target and index; the inputs of Tests/Fuzz/Corpus are read first. Faults are a
/// worker that crashes, hangs or exceeds its memory limit, an error that is not one clear sentence, and an incomplete
/// file after an error. Their inputs are stored in the corpus, and the program ends with status 1.
@main
struct Fuzz: ParsableCommand {
  @Option(help: "Targets, separated by commas; by default all.")
  var targets = ""
  @Option(help: "Inputs of each target.")
  var count = 1_000_000_000
  @Option(help: "Seconds for each target.")
  var seconds = 10.0
  @Option(help: "The seed of the inputs.")
  var seed: UInt64 = 1
  @Option(help: .hidden)
  var from = 0
  @Option(help: .hidden)
  var worker: String?
  @Option(help: "Generate the inputs of this parser with libFuzzer, in a build of scripts/fuzz --libfuzzer.")
  var libfuzzer: String?
  @Option(help: "A folder with a workspace, which is created if necessary.")
  var workspace: String?

  func run() throws {
    Machine.prepare()
    if let worker { return try work(in: URL(filePath: worker)) }
    let folder = URL(filePath: workspace ?? NSTemporaryDirectory()).appending(
      path: workspace == nil ? "wideband-fuzz-\(getpid())" : "")
    let isNew = !exists(folder.appending(path: "shards").path)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { if workspace == nil { try? FileManager.default.removeItem(at: folder) } }
    let made = isNew ? try Workspace.make(in: folder) : Workspace(folder: folder)
    setenv("WIDEBAND_FUZZ_WORKSPACE", folder.path, 1)
    if let libfuzzer { return try LibFuzzer.run(libfuzzer, made, seconds: seconds, seed: seed) }
    var isClean = true
    print("target            inputs     read  refused  faults")
    for target in try chosen(made) {
      let supervisor = Supervisor(target: target, seed: seed, corpus: try Corpus(of: target.name))
      let outcome = try supervisor.run(count: count, until: Date(timeIntervalSinceNow: seconds))
      let numbers = [outcome.inputs, outcome.counts.read, outcome.counts.refused, outcome.faults.count]
      let columns = numbers.map { number in String(repeating: " ", count: max(1, 9 - "\(number)".count)) + "\(number)" }
      print(target.name.padding(toLength: 15, withPad: " ", startingAt: 0) + columns.joined())
      outcome.faults.forEach { print("  \($0)") }
      isClean = isClean && outcome.faults.isEmpty
    }
    if !isClean { throw ExitCode(1) }
  }

  private func chosen(_ workspace: Workspace) throws -> [Target] {
    let all = Targets.all(workspace)
    guard !targets.isEmpty else { return all }
    return try targets.split(separator: ",").map { name in
      guard let target = all.first(where: { $0.name == name }) else {
        throw ValidationError("there is no target \(name): expected \(all.map(\.name).joined(separator: ", "))")
      }
      return target
    }
  }

  private func work(in folder: URL) throws {
    let workspace = Workspace(
      folder: URL(filePath: ProcessInfo.processInfo.environment["WIDEBAND_FUZZ_WORKSPACE"] ?? ""))
    guard let target = try chosen(workspace).first else { return }
    let worker = Worker(
      target: target, corpus: try Corpus(of: target.name), seed: seed, range: from..<(from + count),
      deadline: Date(timeIntervalSinceNow: seconds), folder: folder, progress: folder.appending(path: "progress"))
    let counts = try worker.run()
    try JSONEncoder().encode(counts).write(to: folder.appending(path: "result.json"))
  }
}
