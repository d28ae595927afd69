import ArgumentParser
import Foundation
import Wideband
import WidebandCheckedInput

/// `wideband data`: prepares training data.
struct DataCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "data",
    abstract: "Prepare text for training.",
    discussion: """
      EXAMPLE:
        wideband data prepare --tokenizer data/tokenizer.json --output data/tokens text.txt
      """,
    subcommands: [Prepare.self])

  /// `wideband data prepare`.
  struct Prepare: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Convert text to token shards with a held-out part.",
      discussion: """
        Reads .txt and .jsonl ({"text": …} or {"messages": […]} per line), also as .gz, from files or folders. Writes \
        memory-mapped .npy shards, the offsets of documents, data.json and the tokenizer to a new folder. If the folder \
        was prepared from the same input, it is left as it is.

        Lines of {"messages": [{"role": "user", "content": …}, …]} are conversations, which are formatted with Qwen3's \
        chat template. Only the assistant's answers are training targets; conversations that are packed into one row \
        do not attend to each other.

        EXAMPLES:
          wideband data prepare --tokenizer data/tokenizer.json --output data/tokens text.txt
          wideband data prepare --tokenizer Qwen3-0.6B --output data/chat chat.jsonl
          wideband data prepare --tokenizer data --output data/tokens --validation held-out/ train/
        """)

    @Argument(help: ArgumentHelp("Files or folders of text.", valueName: "text"))
    var paths: [String]
    @Option(help: ArgumentHelp("tokenizer.json, or a folder that has it.", valueName: "file"))
    var tokenizer: String
    @Option(help: ArgumentHelp("The folder to make.", valueName: "folder"))
    var output: String
    @Option(
      name: .customLong("validation"),
      help: ArgumentHelp(
        "A file or folder of text that is held out as a whole; may be given several times.", valueName: "text"))
    var heldOut: [String] = []
    @Option(
      help: ArgumentHelp(
        "The part of the text that is held out: \(DataPreparation.Options().validationFraction), or none with "
          + "--validation.", valueName: "fraction"))
    var validationFraction: Double?
    @Option(help: ArgumentHelp("Which part is held out.", valueName: "number"))
    var seed: UInt64 = 0

    func run() throws {
      let loaded = try loadTokenizer(tokenizer)
      var options = DataPreparation.Options()
      options.validationFraction =
        validationFraction ?? (heldOut.isEmpty ? options.validationFraction : 0)
      options.seed = seed
      let preparation = try DataPreparation(
        ManyArguments.separated(paths), heldOut: heldOut, encoder: loaded, options: options)
      let outcome = try preparation.run(into: output) { progress in
        let share = 100 * progress.bytesRead / max(1, progress.bytesToRead)
        StandardError.line("\(share)%  \(progress.tokens) tokens")
      }
      // Training and generation need the tokenizer.
      let folder = fileURL(output, directoryHint: .isDirectory)
      for (name, data) in try tokenizerFiles(tokenizer) { try AtomicFile.write(data, to: folder.appending(path: name)) }
      for note in outcome.notes { try StandardOutput.line(note) }
      try StandardOutput.line(Self.summary(outcome, output))
    }

    private static func summary(_ outcome: DataPreparation.Outcome, _ folder: String) -> String {
      let state = outcome.wasUpToDate ? "up to date" : "written"
      let (train, held) = (outcome.description.train, outcome.description.validation)
      return "\(printable(path: folder)) (\(state)): \(train.tokens) training tokens, \(held.tokens) held-out tokens "
        + "of \(held.bytes) bytes"
    }
  }
}
