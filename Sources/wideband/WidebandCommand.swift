import ArgumentParser
import Torch

/// `wideband`: trains and runs language models whose representation is wider than their backbone.
@main
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
    subcommands: [
      TokenizerCommand.self, DataCommand.self, Train.self, Evaluate.self, Generate.self, Chat.self, Info.self,
      Verify.self,
      Init.self, Convert.self, Quantize.self,
      ReportCommand.self, BenchCommand.self,
    ])

  /// Runs the command; a failure is one sentence on standard error and a status that is not zero.
  static func main() {
    StandardStreams.prepare()
    do {
      try StandardStreams.checkArguments()
      Machine.prepare()
      let arguments = TokenizerCommand.Decode.joiningIDs(Array(CommandLine.arguments.dropFirst()))
      var command = try parseAsRoot(arguments)
      try command.run()
    } catch { Failure.end(error) }
  }
}
