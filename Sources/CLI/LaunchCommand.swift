import ArgumentParser
import Foundation
import Wideband
import WidebandCheckedInput

/// `wideband launch`: starts the processes of a training run on one machine.
struct LaunchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "launch",
    abstract: "Start a command in several processes on this machine, the ranks of one training run.",
    discussion: """
      Every process runs the command after -- with RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and \
      MASTER_PORT. The output of rank 0 is shown, that of others only if they fail. If a process fails, the others are \
      ended, and its exit status is that of launch. Processors are divided among the processes, unless --threads or \
      OMP_NUM_THREADS names the threads of one.

      EXAMPLES:
        wideband launch --processes 2 -- train --recipe configs/quickstart-wide.yaml --data data/tokens \\
          --output runs/wide --set training.rows_per_batch=8
        wideband launch --processes 4 -- train --resume --output runs/wide --threads 2
      """)

  /// How many processes can be started.
  private static let processRange = 1...1024

  @Option(help: ArgumentHelp("Processes to start.", valueName: "number"))
  var processes: Int
  @Option(help: ArgumentHelp("The port of rank 0 on 127.0.0.1; by default a free one.", valueName: "number"))
  var masterPort: Int?
  @Option(
    help: ArgumentHelp("Seconds that processes have to end after one has failed; then killed.", valueName: "number"))
  var grace = 30
  @Argument(parsing: .postTerminator, help: ArgumentHelp("The subcommand and its arguments.", valueName: "command"))
  var command: [String] = []

  func validate() throws {
    try requireFlag("--processes", processes, in: Self.processRange)
    try requireFlag("--master-port", masterPort, in: 1...65_535)
    try requireFlag("--grace", grace, in: 0...86_400)
    if command.isEmpty {
      throw ValidationError("no command: expected one after --, as in: wideband launch --processes 2 -- train …")
    }
  }

  func run() throws {
    // One message of a wrong argument instead of one from each process.
    guard !(try CommandLineTool.parse(command) is LaunchCommand) else {
      throw CommandError("the command is launch: expected one that is not launch itself")
    }
    try Self.requireNoRank("launch")
    guard let executable = Bundle.main.executablePath else {
      throw CommandError("the path of this program is not known to the system")
    }
    let environment = LaunchEnvironment(
      processes: processes, masterPort: try masterPort ?? freeLocalPort(), threads: Machine.defaultThreads.count,
      inherited: ProcessInfo.processInfo.environment)
    let launcher = Launcher(grace: grace)
    let status = try launcher.run(executable, command, (0..<processes).map(environment.variables))
    if status != 0 { throw ExitCode(status) }
  }

  /// Fails if an outer launcher has made this process a rank, as its own processes would take part in that run.
  static func requireNoRank(_ command: String) throws {
    guard let rank = ProcessInfo.processInfo.environment["RANK"] else { return }
    throw CommandError(
      "RANK is \(quoted(rank)) in the environment: expected none, as \(command) starts all processes of a run itself")
  }
}
