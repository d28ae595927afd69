import Foundation

/// Writes the tokens of one split, document by document, to numbered shards.
struct TokenShardWriter {
  private let folder: String
  private let split: TokenDataset.Split
  private let limit: Int
  private let vocabularySize: Int
  private var tokens: TokenArrayWriter?
  private var starts: TokenArrayWriter?
  private var answers: TokenArrayWriter?
  /// The description of the shards written so far.
  private(set) var summary = DataDescription.Split()

  /// - Parameter limit: the maximum number of tokens of a shard with more than one document.
  init(folder: String, split: TokenDataset.Split, limit: Int, vocabularySize: Int) {
    self.folder = folder
    self.split = split
    self.limit = limit
    self.vocabularySize = vocabularySize
  }

  /// Adds one document.
  ///
  /// - Throws: `DataError` if an id is not in the tokenizer's vocabulary.
  mutating func append(_ document: EncodedDocument) throws {
    if let wrong = document.tokens.first(where: { $0 < 0 || $0 >= vocabularySize }) {
      throw DataError.invalidArgument("the tokenizer gave the token id \(wrong): expected 0 to \(vocabularySize - 1)")
    }
    if let tokens, tokens.count + document.tokens.count > limit { try finish() }
    let (tokens, starts) = try open(hasAnswers: document.answers != nil)
    for answer in document.answers ?? [] {
      try answers?.append([tokens.count + answer.lowerBound, tokens.count + answer.upperBound])
    }
    try starts.append(CollectionOfOne(tokens.count))
    try tokens.append(document.tokens)
    summary.documents += 1
    summary.tokens += document.tokens.count
    summary.bytes += document.byteCount
    summary.shards[summary.shards.count - 1].tokens = tokens.count
    summary.shards[summary.shards.count - 1].documents = starts.count
  }

  /// Completes the open shard.
  mutating func finish() throws {
    try tokens?.finish()
    try starts?.finish()
    try answers?.finish()
    (tokens, starts, answers) = (nil, nil, nil)
  }

  private mutating func open(hasAnswers: Bool) throws -> (tokens: TokenArrayWriter, starts: TokenArrayWriter) {
    if let tokens, let starts { return (tokens, starts) }
    let name = split.rawValue + String(format: "-%05ld", summary.shards.count)
    var shard = DataDescription.Shard(tokensFile: "\(name).npy", startsFile: "\(name).boundaries.npy")
    let element: TokenArrayHeader.Element = vocabularySize <= 1 << 16 ? .uint16 : .uint32
    let tokens = try TokenArrayWriter("\(folder)/\(shard.tokensFile)", element)
    let starts = try TokenArrayWriter("\(folder)/\(shard.startsFile)", .int64)
    if hasAnswers {
      shard.answersFile = "\(name).answers.npy"
      answers = try TokenArrayWriter("\(folder)/\(name).answers.npy", .int64)
    }
    summary.shards.append(shard)
    self.tokens = tokens
    self.starts = starts
    return (tokens, starts)
  }
}
