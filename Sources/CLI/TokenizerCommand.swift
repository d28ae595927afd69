import ArgumentParser
import Foundation
import Wideband
import WidebandCheckedInput

/// `wideband tokenizer`: trains and uses byte-level tokenizers.
struct TokenizerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenizer",
    abstract: "Train a tokenizer, or encode and decode with one.",
    discussion: """
      EXAMPLES:
        wideband tokenizer train --size 4096 --output data text.txt
        wideband tokenizer encode --tokenizer data "In the beginning"
      """,
    subcommands: [TrainTokenizer.self, Encode.self, Decode.self])

  /// `wideband tokenizer train`.
  struct TrainTokenizer: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "train",
      abstract: "Train a byte-pair vocabulary on text.",
      discussion: """
        Writes tokenizer.json and tokenizer_config.json, which Hugging Face's libraries can open. Reads .txt and .jsonl \
        ({"text": …} or {"messages": […]} per line), also as .gz, from files or folders.

        EXAMPLE:
          wideband tokenizer train --size 4096 --output data text.txt
        """)

    @Argument(help: ArgumentHelp("Files or folders of text.", valueName: "text"))
    var paths: [String]
    @Option(help: ArgumentHelp("The vocabulary size, including special tokens.", valueName: "number"))
    var size = 4096
    @Option(help: ArgumentHelp("The folder to write into.", valueName: "folder"))
    var output: String
    @Flag(help: "Add the special tokens that conversations need.")
    var chat = false

    func run() throws {
      guard !exists("\(output)/config.json") else {
        throw CommandError("\(printable(path: output)): holds a model, which has a tokenizer: expected another folder")
      }
      let specialTokens = ["<|endoftext|>"] + (chat ? ChatTemplate.requiredTokens : [])
      let trainer = try BytePairTrainer(vocabularySize: size, specialTokens: specialTokens)
      let corpus = try TextCorpus(ManyArguments.separated(paths)) {
        try ChatTemplate.texts(of: Conversation(json: $0, file: $1, line: $2))
      }
      let result = Result { try trainer.train(corpus) }
      if let failure = corpus.failure { throw failure }
      let trained = try result.get()
      let folder = fileURL(output, directoryHint: .isDirectory)
      if let reason = makeFolder(output) {
        throw CommandError("\(output): the folder cannot be created: \(reason)")
      }
      for file in trained.files { try AtomicFile.write(file.content, to: folder.appending(path: file.name)) }
      for note in corpus.notes { try StandardOutput.line(note) }
      let shortage = trained.isSmallerThanRequested ? " (the text has no more repeated pairs)" : ""
      try StandardOutput.line("\(printable(path: output))/tokenizer.json: \(trained.vocabularySize) tokens\(shortage)")
    }
  }

  /// `wideband tokenizer encode`.
  struct Encode: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print the token ids of a text.",
      discussion: """
        EXAMPLES:
          wideband tokenizer encode --tokenizer data/tokenizer.json "In the beginning"
          wideband tokenizer encode --tokenizer data/tokenizer.json < text.txt
        """)

    @Option(help: ArgumentHelp("tokenizer.json, or a folder that has it.", valueName: "file"))
    var tokenizer: String
    @Argument(help: ArgumentHelp("The text; by default standard input.", valueName: "text"))
    var text: String?

    func run() throws {
      let tokenizer = try loadTokenizer(tokenizer)
      let bytes = try text.map { Array($0.utf8) } ?? StandardInput.contents(limit: StandardInput.maximumTextBytes)
      try StandardOutput.line(tokenizer.encode(bytes: bytes).map(String.init).joined(separator: " "))
    }
  }

  /// `wideband tokenizer decode`.
  struct Decode: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write the text of token ids.",
      discussion: """
        EXAMPLES:
          wideband tokenizer decode --tokenizer data/tokenizer.json 317 262 1053
          wideband tokenizer encode --tokenizer data "a text" | wideband tokenizer decode --tokenizer data
        """)

    @Option(help: ArgumentHelp("tokenizer.json, or a folder that has it.", valueName: "file"))
    var tokenizer: String
    @Argument(help: ArgumentHelp("The ids; by default standard input.", valueName: "id"))
    var ids: [String] = []

    func run() throws {
      let tokenizer = try loadTokenizer(tokenizer)
      let bytes = ids.isEmpty ? try StandardInput.contents(limit: StandardInput.maximumTextBytes) : []
      let numbers = try (ManyArguments.separated(ids).map { Array($0.utf8) } + [bytes]).flatMap { try Self.ids(in: $0) }
      try StandardOutput.write(bytes: tokenizer.decodeBytes(numbers) + [UInt8(ascii: "\n")])
    }
  }
}

extension TokenizerCommand.Decode {
  /// The ids in a text, with white space between them.
  private static func ids(in text: [UInt8]) throws -> [TokenID] {
    try text.split(whereSeparator: { $0 == 0x20 || (0x09...0x0D).contains($0) }).map { word in
      let word = String(decoding: word, as: UTF8.self)
      guard let id = TokenID(word) else {
        throw CommandError("\(quoted(word)) is not a token id: expected an integer")
      }
      return id
    }
  }
}

/// Loads the tokenizer at a path: a file, or the `tokenizer.json` of a folder.
func loadTokenizer(_ path: String) throws -> Tokenizer { try Tokenizer(contentsOf: tokenizerFile(path)) }

/// The file of the tokenizer at a path.
func tokenizerFile(_ path: String) -> URL {
  let url = fileURL(path)
  return isFolder(path) ? url.appending(path: Tokenizer.fileNames[0]) : url
}

/// The files of the tokenizer at a path by name, to copy into folders of data and models.
///
/// - Throws: `InputError` for a file that exists and cannot be read.
func tokenizerFiles(_ path: String) throws -> [String: Data] {
  let file = tokenizerFile(path)
  let limit = SourceFolder.maximumOtherBytes
  var files = [Tokenizer.fileNames[0]: try boundedContents(of: file, limit: limit)]
  // The other files belong to a file of the standard name only.
  guard file.lastPathComponent == Tokenizer.fileNames[0] else { return files }
  for name in Tokenizer.fileNames.dropFirst() {
    let other = file.deletingLastPathComponent().appending(path: name)
    if exists(other.path) { files[name] = try boundedContents(of: other, limit: limit) }
  }
  return files
}
