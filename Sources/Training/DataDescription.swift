import Checkpoint
import Foundation

/// What a folder of prepared data holds and what it was made from: the content of its `data.json`.
public struct DataDescription: Codable, Hashable, Sendable {
  /// The version of the layout; this code reads and writes `currentVersion`.
  public var formatVersion = Self.currentVersion
  /// The fingerprint of the tokenizer that made the tokens.
  public var fingerprint: String
  /// V: the number of token ids.
  public var vocabularySize: Int
  /// The id behind the last token of every text, or at the end of every answer.
  public var endOfText: Int32
  /// What kind of documents there are; nil for text.
  public var form: Form?
  /// What the preparation was asked for.
  public var options: DataPreparation.Options
  /// The text it was made from.
  public var inputs: [Input]
  /// The part to train on.
  public var train = Split()
  /// The part that is held out.
  public var validation = Split()

  /// The version of the layout that is described here.
  public static let currentVersion = 1

  /// Kinds of documents other than text.
  public enum Form: String, Codable, Sendable {
    /// Messages in turn, of which the assistant's are to be learned.
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
  }

  /// One part of the data.
  public struct Split: Codable, Hashable, Sendable {
    /// Documents, or runs of text between held-out blocks.
    public var documents = 0
    /// Tokens, one end of text for each document among them.
    public var tokens = 0
    /// Bytes of text.
    public var bytes = 0
    /// The files, in order.
    public var shards: [Shard] = []

    enum CodingKeys: String, CodingKey {
      case documents, tokens, bytes, shards
    }
  }

  /// One file of tokens, and one that says where its documents start.
  public struct Shard: Codable, Hashable, Sendable {
    /// The file of tokens.
    public var tokensFile: String
    /// The file of the positions, counted in tokens, where documents start.
    public var startsFile: String
    /// The file of the positions where answers start and end, by turns; nil for text.
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
    case form, options, inputs, train, validation
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
    guard let json = FileManager.default.contents(atPath: path) else {
      throw DataError(folder, "holds no prepared data: there is no \(fileName)")
    }
    struct Version: Decodable {
      let formatVersion: Int
    }
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    guard let version = try? decoder.decode(Version.self, from: json).formatVersion else {
      throw DataError(path, "is not a description of prepared data: there is no number \"format_version\"")
    }
    guard version == currentVersion else {
      throw DataError(path, "has the format version \(version), expected \(currentVersion); prepare the data again")
    }
    do { return try JSONDecoder().decode(DataDescription.self, from: json) } catch let error as DecodingError {
      throw DataError(path, "is damaged: \(sentence(for: error)); prepare the data again")
    }
  }

  func write(to folder: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try AtomicFile.write(encoder.encode(self) + Data("\n".utf8), to: URL(filePath: "\(folder)/\(Self.fileName)"))
  }

  private static func sentence(for error: DecodingError) -> String {
    switch error {
    case .keyNotFound(let key, _): "there is no \"\(key.stringValue)\""
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
      "\"\(context.codingPath.map(\.stringValue).joined(separator: "."))\" has the wrong type"
    default: "it is not valid JSON"
    }
  }
}
