import ArgumentParser
import Foundation
import Wideband
import WidebandCheckedInput
import WidebandDistributed

/// Options of a process that trains together with others.
struct WorldOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The number of this process, from 0; see docs/distributed.md.", valueName: "number"))
  var rank: Int?
  @Option(help: ArgumentHelp("The number of processes that train together.", valueName: "number"))
  var worldSize: Int?
  @Option(help: ArgumentHelp("Where the processes meet: a port of the host of rank 0.", valueName: "host:port"))
  var master: String?
  @Option(
    help: ArgumentHelp(
      "Seconds that a process may let the others wait, before it counts as lost; by default 100.", valueName: "number"))
  var timeout: Int?

  func validate() throws { try requireFlag("--timeout", timeout, in: 1...86_400) }

  /// The processes that flags, or the variables of a launcher, describe.
  func world() throws -> World {
    var world = try World(
      environment: ProcessInfo.processInfo.environment,
      flags: .init(rank: rank, worldSize: worldSize, master: master))
    if let timeout { world.timeout = .seconds(timeout) }
    return world
  }
}

/// How `--resume` continues a run.
enum ResumeMode: String, ExpressibleByArgument, CaseIterable {
  /// There has to be one.
  case required
  /// If there is one; otherwise it is started.
  case auto
}

/// The processes that train together: the first one has the terminal and the run folder, the others a log each.
final class Ranks {
  /// Nil for one process alone.
  let group: ProcessGroup?
  /// Gets the sentence of an error, once there is one.
  var console: TrainingConsole?
  private let output: String

  /// Waits for all processes.
  ///
  /// - Throws: `ExitCode` if they do not meet, after the sentence.
  init(_ world: World, output: String) throws {
    do { group = world.size > 1 ? try ProcessGroup(world) : nil } catch let error as DistributedError {
      StandardError.line("Error: \(error)")
      // The next attempt may find a host that was still starting, or a port that was still in use.
      if case .notStarted = error { throw ExitCode(Self.lostStatus) }
      throw ExitCode(1)
    }
    self.output = output
  }

  var isFirst: Bool { group?.rank ?? 0 == 0 }
  var size: Int { group?.size ?? 1 }
  var name: String { group.map { $0.name(of: $0.rank) } ?? "" }
  var count: String { group.map { " in \($0.size) processes" } ?? "" }
  var logPath: String { "\(output)/log-rank-\(group?.rank ?? 0).txt" }

  /// Runs `body` in every process; an error of one ends all.
  func together<Value>(_ body: () throws -> Value) throws -> Value {
    try group.map { try $0.together(body) } ?? body()
  }

  /// A text of the first process, for all.
  func fromFirst(_ text: () throws -> String) throws -> String {
    let own = try together { try isFirst ? text() : "" }
    return try group.map { try $0.allGather(own)[0] } ?? own
  }

  /// Checks that all processes compute the same steps and see the same run folder.
  func requireSameStart(_ trainer: Trainer) throws {
    guard let group else { return }
    let own = [
      ("version", WidebandCommand.configuration.version), ("threads", "\(Machine.threadCount)"),
      ("kernels", "\(Kernels.selected)"),
    ]
    try group.requireSame(try trainer.facts + own)
    let mark = try fromFirst {
      let url = fileURL("\(output)/.shared-\(UUID().uuidString)")
      try AtomicFile.write(Data(), to: url)
      return url.path
    }
    defer { if isFirst { unlink(mark) } }
    try together {
      // Checkpoints are written by rank 0's path, and read by this process's.
      let url = fileURL(mark)
      guard exists(mark), exists("\(output)/\(url.lastPathComponent)") else {
        throw CommandError(
          "\(printable(path: output)): expected the run folder of rank 0, which all processes share, by the same path: "
            + printable(path: url.deletingLastPathComponent().path))
      }
    }
  }

  /// Runs `body`. An error is written by the process that has it, that of a lost process by the first that is left.
  ///
  /// - Throws: the error of a process alone; the `ExitCode` of one of several.
  func reportingErrors(_ body: () throws -> Void) throws {
    do { try body() } catch let error as ExitCode { throw error } catch {
      guard let group else { throw error }
      let sentence = Failure.sentence(error)
      console?.note(sentence)
      guard let error = error as? DistributedError else {
        // Written before the others know: a launcher that sees one of them end ends this process.
        let (text, status) = Failure.message(error)
        if !isFirst || console == nil { StandardError.line(text) }
        group.end(because: sentence)
        throw status
      }
      let (lost, status): ([Int], Int32) =
        if case .ranksLost(let ranks, _) = error { (ranks, Self.lostStatus) } else { ([], 1) }
      let first = (0..<group.size).first { !lost.contains($0) }
      // The first process's console has written it.
      if first == group.rank, !isFirst || console == nil { StandardError.line("Error: \(sentence)") }
      // The process group must not be waited for.
      _exit(status)
    }
  }

  /// The exit status where another process, or the connection to it, was lost: the run goes on in new ones with
  /// `--resume`. BSD's EX_TEMPFAIL.
  static let lostStatus: Int32 = 75
}
