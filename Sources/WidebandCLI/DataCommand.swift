import ArgumentParser
import CheckedInput
import Checkpoint
import Foundation
import Tokenization
import Training

/// `wideband data`: makes training data.
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
      abstract: "Turn text into token shards with a held-out part.",
      discussion: """
        Reads .txt, .jsonl ({"text": …} or {"messages": […]} a line) and their .gz, files or folders. Writes \
        memory-mapped .npy shards, the offsets of documents, data.json and the tokenizer into a new folder; run again \
        on the same input, it finds the folder up to date.

        Lines of {"messages": [{"role": "user", "content": …}, …]} are conversations, in Qwen3's form. Of these the \
        assistant's answers alone are learned, and those that share a row in training do not see each other.

        EXAMPLES:
          wideband data prepare --tokenizer data/tokenizer.json --output data/tokens text.txt
          wideband data prepare --tokenizer Qwen3-0.6B --output data/chat chat.jsonl
        """)

    @Argument(help: ArgumentHelp("Files or folders of text.", valueName: "text"))
    var paths: [String]
    @Option(help: ArgumentHelp("tokenizer.json, or a folder that has it.", valueName: "file"))
    var tokenizer: String
    @Option(help: ArgumentHelp("The folder to make.", valueName: "folder"))
    var output: String
    @Option(help: ArgumentHelp("The part of the text that is held out.", valueName: "fraction"))
    var validationFraction = DataPreparation.Options().validationFraction
    @Option(help: ArgumentHelp("Which part is held out.", valueName: "number"))
    var seed: UInt64 = 0

    func run() throws {
      let loaded = try loadTokenizer(tokenizer)
      var options = DataPreparation.Options()
      options.validationFraction = validationFraction
      options.seed = seed
      let preparation = try DataPreparation(
        ManyArguments.separated(paths), encoder: try TokenizerEncoder(loaded), options: options)
      let outcome = try preparation.run(into: output) { progress in
        let share = 100 * progress.bytesRead / max(1, progress.bytesToRead)
        StandardError.line("\(share)%  \(progress.tokens) tokens")
      }
      try copyTokenizer(to: fileURL(output, directoryHint: .isDirectory))
      for note in outcome.notes { try StandardOutput.line(note) }
      try StandardOutput.line(Self.summary(outcome, output))
    }

    /// Training and generation need the tokenizer: it goes where the data goes.
    private func copyTokenizer(to folder: URL) throws {
      for (name, data) in try tokenizerFiles(tokenizer) { try AtomicFile.write(data, to: folder.appending(path: name)) }
    }

    private static func summary(_ outcome: DataPreparation.Outcome, _ folder: String) -> String {
      let state = outcome.wasUpToDate ? "up to date" : "written"
      let (train, held) = (outcome.description.train, outcome.description.validation)
      return "\(printable(path: folder)) (\(state)): \(train.tokens) training tokens, \(held.tokens) held-out tokens "
        + "of \(held.bytes) bytes"
    }
  }
}

/// A tokenizer as data preparation sees it.
struct TokenizerEncoder: TextEncoder {
  private let tokenizer: Tokenizer
  let endOfText: Int32
  let endOfAnswer: Int32?
  let fingerprint: String

  init(_ tokenizer: Tokenizer) throws {
    self.tokenizer = tokenizer
    fingerprint = tokenizer.fingerprint
    let names = ["<|endoftext|>", "<|end_of_text|>", "</s>", "<|im_end|>"]
    guard let end = names.lazy.compactMap({ tokenizer.tokenToID($0) }).first else {
      throw CommandError(
        "the tokenizer has no token that ends a text: expected one of \(names.joined(separator: ", "))")
    }
    endOfText = end
    endOfAnswer = try? tokenizer.endOfTurn
  }

  var vocabularySize: Int { tokenizer.vocabularySize }

  func encode(bytes: [UInt8]) throws -> [Int32] { try tokenizer.encode(bytes: bytes, parsingAddedTokens: false) }

  func encode(conversation json: [UInt8], file: String, line: Int) throws -> EncodedDocument {
    let conversation = try Conversation(json: json, file: file, line: line)
    let encoded = try tokenizer.encode(conversation)
    return EncodedDocument(
      tokens: encoded.tokens, byteCount: conversation.text().utf8.count, answers: encoded.answers)
  }

  func byteLengths() -> [Int] { tokenizer.byteLengths }
}

extension Tokenizer {
  /// The bytes of text that each id stands for; 0 for special tokens and for ids without a token.
  var byteLengths: [Int] {
    let special = Set(addedTokens.filter(\.isSpecial).map(\.id))
    return (0..<Int32(clamping: vocabularySize)).map { special.contains($0) ? 0 : idToToken($0)?.count ?? 0 }
  }
}
