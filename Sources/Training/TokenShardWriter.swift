/// Writes the tokens of one split, document by document, to a numbered series of files.
struct TokenShardWriter {
  private let folder: String
  private let split: TokenDataset.Split
  private let limit: Int
  private let vocabularySize: Int
  private var tokens: TokenArrayWriter?
  private var starts: TokenArrayWriter?
  /// What was written so far.
  private(set) var summary = DataDescription.Split()

  /// - Parameter limit: a file is closed before the document that would take it beyond this many tokens.
  init(folder: String, split: TokenDataset.Split, limit: Int, vocabularySize: Int) {
    self.folder = folder
    self.split = split
    self.limit = limit
    self.vocabularySize = vocabularySize
  }

  /// Adds one document.
  ///
  /// - Parameter byteCount: bytes of text that the tokens stand for.
  /// - Throws: `DataError` if the tokenizer gave an id that is not in its vocabulary.
  mutating func append(_ document: [Int32], byteCount: Int) throws {
    if let wrong = document.first(where: { $0 < 0 || $0 >= vocabularySize }) {
      throw DataError("the tokenizer gave the token id \(wrong), expected 0 to \(vocabularySize - 1)")
    }
    if let tokens, tokens.count + document.count > limit { try finish() }
    let (tokens, starts) = try open()
    try starts.append(CollectionOfOne(tokens.count))
    try tokens.append(document)
    summary.documents += 1
    summary.tokens += document.count
    summary.bytes += byteCount
    summary.shards[summary.shards.count - 1].tokens = tokens.count
    summary.shards[summary.shards.count - 1].documents = starts.count
  }

  /// Completes the file that is open.
  mutating func finish() throws {
    try tokens?.finish()
    try starts?.finish()
    tokens = nil
    starts = nil
  }

  private mutating func open() throws -> (tokens: TokenArrayWriter, starts: TokenArrayWriter) {
    if let tokens, let starts { return (tokens, starts) }
    let number = String(summary.shards.count)
    let name = "\(split.rawValue)-" + String(repeating: "0", count: max(0, 5 - number.count)) + number
    let shard = DataDescription.Shard(tokensFile: "\(name).npy", startsFile: "\(name).boundaries.npy")
    let element: TokenArrayHeader.Element = vocabularySize <= 1 << 16 ? .uint16 : .uint32
    let tokens = try TokenArrayWriter("\(folder)/\(shard.tokensFile)", element)
    let starts = try TokenArrayWriter("\(folder)/\(shard.startsFile)", .int64)
    summary.shards.append(shard)
    self.tokens = tokens
    self.starts = starts
    return (tokens, starts)
  }
}
