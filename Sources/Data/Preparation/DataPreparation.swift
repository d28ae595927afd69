import Foundation
import WidebandCheckedInput
import WidebandCheckpoint

/// Converts text to training data: a folder of `.npy` token shards that training maps into memory.
///
///     let tokenizer = try Tokenizer(contentsOf: URL(filePath: "tokenizer.json"))
///     let outcome = try DataPreparation(["corpus", "more.jsonl.gz"], encoder: tokenizer).run(into: "data")
///
/// The folder contains, for both splits, `train-00000.npy` and so on with the tokens of all documents, each followed by
/// an end of text, and `train-00000.boundaries.npy` with the starts of documents; for conversations also
/// `train-00000.answers.npy` with alternating starts and ends of answers. `token_bytes.npy` has the length in bytes of
/// each token's text, and `data.json` is the ``DataDescription``. The folder is written atomically. Memory use is a few
/// megabytes of text, or the longest document.
public struct DataPreparation {
  /// Options that determine the result, together with the text and the tokenizer.
  public struct Options: Codable, Hashable, Sendable {
    /// The fraction of the text that is held out.
    public var validationFraction = 0.05
    /// The seed of the choice of the held-out part.
    public var seed: UInt64 = 0
    /// The maximum number of tokens of a shard with more than one document.
    public var tokensPerShard = 100_000_000

    /// The default options.
    public init() {}

    enum CodingKeys: String, CodingKey {
      case validationFraction = "validation_fraction"
      case seed
      case tokensPerShard = "tokens_per_shard"
    }
  }

  /// The progress of a preparation.
  public struct Progress: Sendable {
    /// Bytes of the input files that were read.
    public let bytesRead: Int
    /// The total size of the input files in bytes.
    public let bytesToRead: Int
    /// The number of tokens that were written.
    public let tokens: Int
  }

  /// The result of a preparation.
  public struct Outcome: Sendable {
    /// The description of the folder.
    public let description: DataDescription
    /// Whether the folder had this content already, so that nothing was written.
    public let wasUpToDate: Bool
    /// Notes on skipped files and an empty held-out part.
    public let notes: [String]
  }

  let files: [TextFile]
  /// The files that are held out as a whole.
  let heldOutFiles: [TextFile]
  private let notes: [String]
  let documentKind: DataDescription.DocumentKind?
  let encoder: any TextEncoder
  /// The id after the last token of every text.
  let endOfText: TokenID
  let options: Options

  /// A preparation of the text in files and folders.
  ///
  /// - Parameters:
  ///   - paths: files and folders of text.
  ///   - heldOutPaths: files and folders whose text is held out as a whole; the fraction of the options is then 0.
  ///   - encoder: the tokenizer.
  ///   - options: how the text is divided.
  /// - Throws: `DataError` for a path without text and for options out of range, and the encoder's error if it has no
  ///   end of text.
  public init(
    _ paths: [String], heldOut heldOutPaths: [String] = [], encoder: any TextEncoder, options: Options = Options()
  ) throws {
    endOfText = try encoder.endOfText
    guard heldOutPaths.isEmpty || options.validationFraction == 0 else {
      throw DataError.invalidArgument(
        "validation fraction \(options.validationFraction): expected 0 with files that are held out as a whole")
    }
    guard DataSplit.fractions.contains(options.validationFraction) else {
      throw DataError.invalidArgument(
        "validation fraction \(options.validationFraction): expected \(describe(DataSplit.fractions))")
    }
    guard options.tokensPerShard >= 1 else {
      throw DataError.invalidArgument("tokens per shard \(options.tokensPerShard): expected at least 1")
    }
    let (files, notes) = try TextFile.find(paths)
    let heldOut = try heldOutPaths.isEmpty ? (files: [], notes: []) : TextFile.find(heldOutPaths)
    let trained = heldOut.files.isEmpty ? [] : Set(files.map(Self.place))
    if let both = heldOut.files.first(where: { trained.contains(Self.place($0)) }) {
      throw DataError.mismatch(both.path, "is held out, and among the files to train on: expected one of them")
    }
    (self.files, heldOutFiles, self.notes) = (files, heldOut.files, notes + heldOut.notes)
    documentKind = try Self.documentKind(of: files + heldOut.files, encoder)
    self.encoder = encoder
    self.options = options
  }

  /// The path of a file by which it is recognized.
  private static func place(_ file: TextFile) -> String { fileURL(file.path).resolvingSymlinksInPath().path }

  /// The kind of documents of all files, determined by their first lines.
  private static func documentKind(
    of files: [TextFile], _ encoder: any TextEncoder
  ) throws -> DataDescription.DocumentKind? {
    guard let chat = try files.first(where: { try $0.holdsConversations() }) else { return nil }
    if let text = try files.first(where: { try !$0.holdsConversations() }) {
      throw DataError.mismatch(
        text.path, "holds text, but \(chat.path) holds conversations; prepare one kind at a time")
    }
    guard encoder.endOfAnswer != nil else {
      throw DataError.mismatch(
        chat.path, "holds conversations, but the tokenizer has no \"<|im_end|>\" to end an answer with")
    }
    return .conversations
  }

  /// Writes the prepared data to `folder`, which must be new or empty, or contain the same data already.
  ///
  /// - Parameter progress: called after every few megabytes of text.
  /// - Throws: `DataError` for text that cannot be read, a folder with other content, an empty corpus;
  ///   `CheckpointError` if the disk is full or the folder cannot be written.
  public func run(into folder: String, progress: (Progress) -> Void = { _ in }) throws -> Outcome {
    guard !folder.isEmpty else {
      throw DataError.invalidArgument("the name of the folder to make is empty: expected a path")
    }
    var description = try describeInputs()
    if let existing = try upToDate(description, in: folder) {
      return Outcome(description: existing, wasUpToDate: true, notes: notes + notes(on: existing))
    }
    let target = fileURL(folder, directoryHint: .isDirectory).standardizedFileURL
    let parent = target.deletingLastPathComponent()
    if let reason = makeFolder(parent.path) {
      throw DataError.notWritable(folder, "the folder above it cannot be created: \(reason)")
    }
    try AtomicFolder.sweep(in: parent)
    try AtomicFolder.write(to: target) { temporary in
      var run = try DataPreparationRun(self, folder: temporary.path)
      (description.train, description.validation) = try run.writeTokens(progress)
      try run.writeByteLengths()
      try description.write(to: temporary.path)
    }
    return Outcome(description: description, wasUpToDate: false, notes: notes + notes(on: description))
  }

  private func notes(on description: DataDescription) -> [String] {
    guard options.validationFraction > 0, description.validation.tokens == 0 else { return [] }
    return ["nothing is held out: there is too little text to take \(options.validationFraction) of it"]
  }

  private func describeInputs() throws -> DataDescription {
    func input(_ file: TextFile, isHeldOut: Bool?) throws -> DataDescription.Input {
      let name = fileURL(file.path).lastPathComponent
      return .init(name: name, size: file.size, checksum: try file.checksum(), isHeldOut: isHeldOut)
    }
    let inputs =
      try files.map { try input($0, isHeldOut: nil) } + heldOutFiles.map { try input($0, isHeldOut: true) }
    return DataDescription(
      fingerprint: encoder.fingerprint, vocabularySize: encoder.vocabularySize,
      endOfText: (documentKind == nil ? nil : encoder.endOfAnswer) ?? endOfText, documentKind: documentKind,
      options: options, inputs: inputs)
  }

  /// The description of `folder` if it was prepared from the same inputs; nil if it does not exist or is empty.
  ///
  /// - Throws: `DataError` if the folder has other content.
  private func upToDate(_ inputs: DataDescription, in folder: String) throws -> DataDescription? {
    guard exists(folder) else { return nil }
    guard isFolder(folder) else { throw DataError.exists(folder, "is a file: expected a folder") }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    if names.isEmpty { return nil }
    guard names.contains(DataDescription.fileName) else {
      throw DataError.exists(folder, "holds other files; choose a new or empty folder")
    }
    let existing = try DataDescription.read(from: folder)
    var wanted = inputs
    (wanted.train, wanted.validation) = (existing.train, existing.validation)
    if let difference = Self.difference(wanted, existing) {
      throw DataError.exists(folder, "holds data prepared \(difference); remove it or choose another folder")
    }
    for split in TokenDataset.Split.allCases { _ = try TokenDataset(folder: folder, split: split) }
    return existing
  }

  private static func difference(_ wanted: DataDescription, _ existing: DataDescription) -> String? {
    if wanted.inputs != existing.inputs { return "from other text" }
    if wanted.fingerprint != existing.fingerprint { return "with another tokenizer" }
    return wanted == existing ? nil : "with other options"
  }
}
