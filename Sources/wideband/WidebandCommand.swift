import ArgumentParser
import Foundation
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
      TokenizerCommand.self, DataCommand.self, Train.self, Evaluate.self, Generate.self, Info.self, Verify.self,
      ReportCommand.self,
    ])

  /// Runs the command; every failure is one sentence on standard error and a status that is not zero.
  static func main() {
    Machine.prepare()
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let error where isOwn(error) {
      try? FileHandle.standardError.write(contentsOf: Data("Error: \(error)\n".utf8))
      Foundation.exit(1)
    } catch {
      exit(withError: error)
    }
  }

  /// Whether an error is one of the libraries' sentences, and not argument parsing's own.
  private static func isOwn(_ error: any Error) -> Bool {
    error is any LocalizedSentence
  }
}
