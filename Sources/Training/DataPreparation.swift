import CheckedInput
import Checkpoint
import Foundation

/// Turns text into tokens to train on: a folder of `.npy` shards that training maps into memory.
///
///     let outcome = try DataPreparation(["corpus", "more.jsonl.gz"], encoder: tokenizer).run(into: "data")
///
/// The folder holds `train-00000.npy` and so on with the tokens of all documents, an end of text behind each,
/// `train-00000.boundaries.npy` with the positions where documents start, the same for `validation`,
/// `token_bytes.npy` with the bytes of text that each token stands for, and `data.json`, which describes it all. Of
/// conversations there is also `train-00000.answers.npy` with the positions where answers start and end, by turns.
/// It appears when it is complete. Memory holds a few megabytes of text, or the longest document.
public struct DataPreparation {
  /// What decides about the result besides the text and the tokenizer.
  public struct Options: Codable, Hashable, Sendable {
    /// The part of the text to hold out.
    public var validationFraction = 0.05
    /// What the held-out part is drawn with.
    public var seed: UInt64 = 0
    /// A file of tokens is closed before the document that would make it longer than this.
    public var tokensPerShard = 100_000_000

    /// The usual choices.
    public init() {}

    enum CodingKeys: String, CodingKey {
      case validationFraction = "validation_fraction"
      case seed
      case tokensPerShard = "tokens_per_shard"
    }
  }

  /// How far a preparation is.
  public struct Progress: Sendable {
    /// Bytes of the files on the disk that were read.
    public let bytesRead: Int
    /// Bytes of all files.
    public let bytesToRead: Int
    /// Tokens written.
    public let tokens: Int
  }

  /// What came of a preparation.
  public struct Outcome: Sendable {
    /// What the folder holds.
    public let description: DataDescription
    /// Whether the folder held just that before, so that nothing was written.
    public let wasUpToDate: Bool
    /// Files that were left out, and why.
    public let notes: [String]
  }

  private let files: [TextFile]
  private let notes: [String]
  private let form: DataDescription.Form?
  private let encoder: any TextEncoder
  private let options: Options

  /// A preparation of the text in files and folders.
  ///
  /// - Throws: `DataError` for a path without text and for options that cannot be.
  public init(_ paths: [String], encoder: any TextEncoder, options: Options = Options()) throws {
    guard DataSplit.fractions.contains(options.validationFraction) else {
      throw DataError(
        "validation fraction \(options.validationFraction): expected \(describe(DataSplit.fractions))")
    }
    guard options.tokensPerShard >= 1 else {
      throw DataError("tokens per shard \(options.tokensPerShard): expected at least 1")
    }
    (files, notes) = try TextFile.find(paths)
    form = try Self.form(of: files, encoder)
    self.encoder = encoder
    self.options = options
  }

  /// The form that all files have in common, told by their first lines.
  private static func form(of files: [TextFile], _ encoder: any TextEncoder) throws -> DataDescription.Form? {
    let chat = try files.first { try $0.holdsConversations() }
    guard let chat else { return nil }
    if let text = try files.first(where: { try !$0.holdsConversations() }) {
      throw DataError(text.path, "holds text, but \(chat.path) holds conversations; prepare one kind at a time")
    }
    guard encoder.endOfAnswer != nil else {
      throw DataError(chat.path, "holds conversations, but the tokenizer has no \"<|im_end|>\" to end an answer with")
    }
    return .conversations
  }

  /// Prepares the data in `folder`, which must be new or empty or hold the very same data already.
  ///
  /// - Parameter progress: called after every few megabytes of text.
  /// - Throws: `DataError` for text that cannot be read, a folder that holds something else, an empty corpus;
  ///   `CheckpointError` if the disk is full or the folder cannot be written.
  public func run(into folder: String, progress: (Progress) -> Void = { _ in }) throws -> Outcome {
    guard !folder.isEmpty else { throw DataError("the name of the folder to make is empty: expected a path") }
    let plan = try describeInputs()
    if let existing = try upToDate(plan, in: folder) {
      return Outcome(description: existing, wasUpToDate: true, notes: notes + notes(on: existing))
    }
    let target = fileURL(folder, directoryHint: .isDirectory).standardizedFileURL
    let parent = target.deletingLastPathComponent()
    if let reason = FileManager.default.makeFolder(parent.path) {
      throw DataError(folder, "the folder above it cannot be created: \(reason)")
    }
    try AtomicFolder.sweep(in: parent)
    var description = plan
    try AtomicFolder.write(to: target) { temporary in
      var run = try DataPreparationRun(files, form, encoder, options, folder: temporary.path)
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
    let inputs = try files.map { file in
      let name = fileURL(file.path).lastPathComponent
      return DataDescription.Input(name: name, size: file.size, checksum: try file.checksum())
    }
    return DataDescription(
      fingerprint: encoder.fingerprint, vocabularySize: encoder.vocabularySize,
      endOfText: (form == nil ? nil : encoder.endOfAnswer) ?? encoder.endOfText, form: form, options: options,
      inputs: inputs)
  }

  /// What `folder` holds if it is what `plan` would make; nil if there is nothing in the way.
  private func upToDate(_ plan: DataDescription, in folder: String) throws -> DataDescription? {
    guard isThere(folder) else { return nil }
    guard FileManager.default.isFolder(folder) else { throw DataError(folder, "is a file, expected a folder") }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    if names.isEmpty { return nil }
    guard names.contains(DataDescription.fileName) else {
      throw DataError(folder, "holds other files; choose a new or empty folder")
    }
    let existing = try DataDescription.read(from: folder)
    var wanted = plan
    (wanted.train, wanted.validation) = (existing.train, existing.validation)
    if let difference = Self.difference(wanted, existing) {
      throw DataError(folder, "holds data prepared \(difference); remove it or choose another folder")
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
