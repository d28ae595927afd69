import WidebandCheckedInput

/// Trains a byte-level byte-pair vocabulary.
///
/// ```swift
/// let trainer = try BytePairTrainer(vocabularySize: 4096)
/// let trained = try trainer.train([documentBytes])
/// for file in trained.files { try file.content.write(to: folder.appending(path: file.name)) }
/// ```
///
/// The vocabulary consists, in this order, of the special tokens, the 256 single bytes and the results of the merges.
/// Each merge joins the most frequent adjacent pair that occurs at least twice; among equally frequent pairs the one with
/// the smaller ids (left, then right). The merges equal those of the Hugging Face `BpeTrainer` with the same settings, also where two
/// different pairs produce the same token.
public struct BytePairTrainer: Sendable {
  /// The Llama 3 pattern: contractions, words with the character before them, up to three digits, punctuation, and
  /// white space.
  public static let defaultPattern =
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

  /// The requested number of ids, including special tokens.
  public let vocabularySize: Int
  /// Tokens that are not learned and get the first ids; the first one ends a document.
  public let specialTokens: [String]
  private let pattern: Pattern

  /// A trainer with these settings.
  ///
  /// - Parameters:
  ///   - pattern: a Split pattern of the Oniguruma dialect; its matches are the pieces within which bytes are merged.
  /// - Throws: ``TokenizationError`` if the size is too small for the bytes and the special tokens, a special token is
  ///   empty or given twice, or the pattern is not valid.
  public init(
    vocabularySize: Int, specialTokens: [String] = ["<|endoftext|>"], pattern: String = Self.defaultPattern
  ) throws {
    let minimum = 256 + specialTokens.count
    guard (minimum...Vocabulary.maximumID + 1).contains(vocabularySize) else {
      throw TokenizationError.invalidTraining(
        "vocabulary size \(vocabularySize) is out of range: expected \(minimum) (256 bytes and "
          + "\(specialTokens.count) special tokens) to \(Vocabulary.maximumID + 1)")
    }
    guard !specialTokens.contains("") else { throw TokenizationError.invalidTraining("a special token is empty") }
    for (index, token) in specialTokens.enumerated() {
      guard ByteAlphabet.bytes(spelled: token)?.count != 1 else {
        throw TokenizationError.invalidTraining("special token \(quoted(token)) is the token of a single byte")
      }
      guard !specialTokens[..<index].contains(where: { $0.utf8.elementsEqual(token.utf8) }) else {
        throw TokenizationError.invalidTraining("special token \(quoted(token)) is given twice")
      }
    }
    do {
      self.pattern = try Pattern(pattern)
    } catch let error as TokenizationError {
      throw TokenizationError.invalidTraining("pattern \(quoted(pattern)) \(error.description)")
    }
    self.vocabularySize = vocabularySize
    self.specialTokens = specialTokens
  }

  /// Trains on documents; no merge crosses the end of a document.
  ///
  /// - Parameter documents: text as bytes; bytes that are not UTF-8 count as U+FFFD.
  /// - Throws: ``TokenizationError`` if the documents contain no text.
  public func train(_ documents: some Sequence<[UInt8]>) throws -> TrainedTokenizer {
    var words = ByteStringTable()
    var counts: [Int] = []
    let state = MatchState()
    let preTokenizer = PreTokenizer(steps: [.split(pattern, .isolated, isInverted: false)])
    for document in documents {
      try document.withUnsafeBufferPointer { bytes in
        try UTF8Text.withRepaired(bytes) { text in
          try preTokenizer.forEachPiece(in: text, state) { piece in
            let (number, isNew) = words.insert(piece)
            if isNew { counts.append(1) } else { counts[number] += 1 }
          }
        }
      }
    }
    guard words.count > 0 else {
      throw TokenizationError.invalidTraining("the corpus is empty: there is nothing to train on")
    }
    // Single bytes get their ids in the order of the scalars that spell them.
    let alphabet = (0...255).map { UInt8($0) }
      .sorted { ByteAlphabet.scalarOfByte[Int($0)] < ByteAlphabet.scalarOfByte[Int($1)] }
    // A special token with the spelling of a merge's result is that result: the vocabulary has one entry for both.
    let special = specialTokens.map { ByteAlphabet.bytes(spelled: $0) }
    var merging = MergeTraining(words, counts, specialTokens: special, alphabet: alphabet)
    merging.run(vocabularySize: vocabularySize)
    return TrainedTokenizer(
      specialTokens: specialTokens, pattern: pattern.source, requestedSize: vocabularySize,
      tokens: Array(merging.tokens[specialTokens.count...]), merges: merging.distinctMerges)
  }
}
