import ArgumentParser
import Wideband

/// `wideband`: trains and runs language models whose representation is wider than their backbone.
struct WidebandCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wideband",
    abstract: "Train and run language models whose representation is wider than their backbone.",
    discussion: """
      EXAMPLES:
        wideband tokenizer train --size 4096 --output data text.txt
        wideband data prepare --tokenizer data/tokenizer.json --output data/tokens text.txt
        wideband train --recipe configs/quickstart-wide.yaml --data data/tokens --output runs/wide
        wideband generate --model runs/wide/best --prompt "In the beginning"
      """,
    version: "0.1.0",
    subcommands: [
      TokenizerCommand.self, DataCommand.self, TrainCommand.self, LaunchCommand.self, PlanCommand.self,
      StudyCommand.self,
      EvaluateCommand.self, GenerateCommand.self, ChatCommand.self,
      ServeCommand.self, InfoCommand.self, VerifyCommand.self, InitCommand.self, ConvertCommand.self,
      WidenCommand.self, QuantizeCommand.self, ReportCommand.self, BenchCommand.self,
    ])
}

/// The entry point of the command `wideband`.
public enum CommandLineTool {
  /// Runs the command with the arguments of this process.
  ///
  /// A failure ends the process with one sentence on standard error and a non-zero status. It must be called before any
  /// file is opened.
  public static func run() {
    StandardStreams.prepare()
    LauncherWatch.begin()
    do {
      try StandardStreams.checkArguments()
      Machine.prepare()
      var command = try parse(Array(CommandLine.arguments.dropFirst()))
      try command.run()
    } catch { Failure.end(error) }
  }

  /// Parses arguments to a command that can be run.
  static func parse(_ arguments: [String]) throws -> any ParsableCommand {
    try WidebandCommand.parseAsRoot(ManyArguments.joined(arguments))
  }
}
