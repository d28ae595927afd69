import Foundation
import WidebandCheckedInput
import WidebandCheckpoint

/// The content and origin of a folder of prepared data: its `data.json`.
public struct DataDescription: Codable, Hashable, Sendable {
  /// The version of the layout; this code reads and writes `currentVersion`.
  public var formatVersion = Self.currentVersion
  /// The fingerprint of the tokenizer.
  public var fingerprint: String
  /// V: the number of token ids.
  public var vocabularySize: Int
  /// The id after the last token of every text, or at the end of every answer.
  public var endOfText: TokenID
  /// The kind of documents; nil for text.
  public var documentKind: DocumentKind?
  /// The options of the preparation.
  public var options: DataPreparation.Options
  /// The text files that were prepared.
  public var inputs: [Input]
  /// The training part.
  public var train = Split()
  /// The held-out part.
  public var validation = Split()

  /// The current version of the layout.
  public static let currentVersion = 1

  /// Kinds of documents other than text.
  public enum DocumentKind: String, Codable, CaseIterable, Sendable {
    /// Conversations, in which the assistant's messages are the targets.
    case conversations
  }

  /// A file of text.
  public struct Input: Codable, Hashable, Sendable {
    /// Its name, without folders.
    public var name: String
    /// Its size in bytes.
    public var size: Int
    /// The checksum (CRC-32) of its bytes.
    public var checksum: UInt32
    /// Whether all of it is held out; nil where a fraction is.
    public var isHeldOut: Bool?

    enum CodingKeys: String, CodingKey {
      case name, size, checksum
      case isHeldOut = "held_out"
    }
  }

  /// One part of the data.
  public struct Split: Codable, Hashable, Sendable {
    /// The number of documents, or of spans of text between held-out blocks.
    public var documents = 0
    /// The number of tokens, including one end of text per document.
    public var tokens = 0
    /// The number of bytes of text.
    public var bytes = 0
    /// The shards, in order.
    public var shards: [Shard] = []
  }

  /// A file of tokens with its files of document and answer positions.
  public struct Shard: Codable, Hashable, Sendable {
    /// The file of tokens.
    public var tokensFile: String
    /// The file of document starts, in tokens.
    public var startsFile: String
    /// The file of alternating starts and ends of answers, in tokens; nil for text.
    public var answersFile: String?
    /// The number of tokens.
    public var tokens = 0
    /// The number of documents.
    public var documents = 0

    enum CodingKeys: String, CodingKey {
      case tokensFile = "file"
      case startsFile = "boundaries"
      case answersFile = "answers"
      case tokens, documents
    }
  }

  enum CodingKeys: String, CodingKey {
    case formatVersion = "format_version"
    case fingerprint = "tokenizer_fingerprint"
    case vocabularySize = "vocabulary_size"
    case endOfText = "end_of_text"
    case documentKind = "form"
    case options, inputs, train, validation
  }

  /// One part by name.
  public subscript(split: TokenDataset.Split) -> Split {
    switch split {
    case .train: train
    case .validation: validation
    }
  }

  static let fileName = "data.json"
  static let byteLengthsName = "token_bytes.npy"

  /// Reads the description of the prepared data in `folder`.
  ///
  /// - Throws: `DataError` if there is none, or one that this version cannot read.
  public static func read(from folder: String) throws -> DataDescription {
    let path = "\(folder)/\(fileName)"
    guard exists(path) else {
      throw DataError.unreadable(folder, "holds no prepared data: there is no \(fileName)")
    }
    do {
      let root = JSONNode(try JSONValue(contentsOf: fileURL(path)), file: printable(path: path))
      let version = try root.required("format_version")
      guard version.value.number?.integer == currentVersion else {
        throw version.failure(expected: "\(currentVersion); prepare the data again")
      }
      let description = try ValueDecoder(root.file).decode(DataDescription.self, from: root.value)
      try description.check(path)
      return description
    } catch let error as InputError { throw DataError.malformed(path: path, sentence: error.description) }
  }

  /// Refuses values that are out of range or contradict each other.
  private func check(_ path: String) throws {
    func check(_ key: String, _ value: Int, in range: ClosedRange<Int>) throws {
      guard range.contains(value) else {
        throw DataError.malformed(path, "\(key) is \(value): expected an integer \(describe(range))")
      }
    }
    try check("vocabulary_size", vocabularySize, in: Limits.vocabulary)
    try check("end_of_text", Int(endOfText), in: 0...(vocabularySize - 1))
    let counts = 0...(1 << 53)
    for split in TokenDataset.Split.allCases {
      let (name, part) = (split.rawValue, self[split])
      try check("\(name).bytes", part.bytes, in: counts)
      for (index, shard) in part.shards.enumerated() {
        let key = "\(name).shards[\(index)]"
        for file in [shard.tokensFile, shard.startsFile, shard.answersFile ?? "-"]
        where file.isEmpty || file.contains("/") || file == ".." || file == "." {
          throw DataError.malformed(
            path, "\(key) names the file \(quoted(file)): expected the name of a file in this folder")
        }
        try check("\(key).tokens", shard.tokens, in: 1...(1 << 53))
        try check("\(key).documents", shard.documents, in: 1...shard.tokens)
        guard (shard.answersFile != nil) == (documentKind == .conversations) else {
          throw DataError.malformed(
            path,
            "\(key) \(documentKind == nil ? "has a file of answers: expected none of text" : "has no file of answers")")
        }
      }
      for (key, total, parts) in [
        ("tokens", part.tokens, part.shards.map(\.tokens)), ("documents", part.documents, part.shards.map(\.documents)),
      ] {
        guard let sum = Int.sum(parts), sum == total else {
          throw DataError.malformed(path, "\(name).\(key) is \(total): expected the sum of its shards' \(key)")
        }
      }
    }
  }

  func write(to folder: String) throws {
    let data = try JSONEncoder.indented.encode(self) + Data("\n".utf8)
    try AtomicFile.write(data, to: fileURL("\(folder)/\(Self.fileName)"))
  }
}
