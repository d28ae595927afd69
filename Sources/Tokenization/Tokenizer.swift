import Foundation
import WidebandCheckedInput
import WidebandJinja

/// A byte-level byte-pair tokenizer, loaded from a Hugging Face `tokenizer.json`.
///
/// ```swift
/// let tokenizer = try Tokenizer(contentsOf: folder.appending(path: "tokenizer.json"))
/// let ids = try tokenizer.encode("In the beginning")
/// let text = try tokenizer.decode(ids)
/// ```
///
/// Ids equal those of the Hugging Face `tokenizers` library. Encoding has four stages: added tokens are cut out of the
/// text, the rest is normalized (NFC) if the file says so, patterns split it into pieces, and each piece is merged byte
/// pair by byte pair. All stages work on bytes and Unicode scalars. A tokenizer is immutable and may be used by many
/// threads at once.
public final class Tokenizer: Sendable {
  let tokenBytes: TokenBytes
  private let file: TokenizerFile
  private let rawMatcher: AddedTokenMatcher
  private let normalizedMatcher: AddedTokenMatcher
  private let workers = WorkerPool()
  /// The chat template of the folder; nil if it has none.
  let ownChatTemplate: ChatTemplate?
  /// The texts of special tokens by the names under which the folder lists them, such as "eos_token".
  public let specialTokens: [String: String]

  /// The names of a tokenizer's files, `tokenizer.json` first; the others are optional.
  public static let fileNames = CompanionFiles.names

  /// Loads a `tokenizer.json`, with the added tokens of `tokenizer_config.json`, `added_tokens.json` and
  /// `special_tokens_map.json` in the same folder, and the chat template of `chat_template.jinja` or
  /// `tokenizer_config.json`.
  ///
  /// - Throws: ``TokenizationError`` with one sentence that names the file, the key and the value if the file cannot be
  ///   read, is malformed, or uses something that is not supported. The model must be BPE without byte fallback,
  ///   dropout or affixes; the normalizer NFC or none; the pre-tokenizer Split and Digits steps followed by ByteLevel; the
  ///   post-processor ByteLevel or a template; the decoder ByteLevel.
  public convenience init(contentsOf url: URL) throws {
    let data = try TokenizationError.converting(to: TokenizationError.unreadable) {
      try boundedContents(of: url, limit: Self.maximumFileSize)
    }
    let companions = try TokenizationError.converting {
      // The other files belong to a file of the standard name only.
      let isStandard = url.lastPathComponent == Self.fileNames[0]
      return try isStandard ? CompanionFiles(in: url.deletingLastPathComponent()) : CompanionFiles()
    }
    try self.init(json: data, name: url.path, companions: companions)
  }

  /// Loads the content of a `tokenizer.json`.
  ///
  /// - Parameter name: its name in error messages.
  public convenience init(json: Data, name: String) throws {
    try self.init(json: json, name: name, companions: CompanionFiles())
  }

  private init(json: Data, name: String, companions: CompanionFiles) throws {
    let file = try TokenizationError.converting {
      try json.withUnsafeBytes {
        try TokenizerFile($0.bindMemory(to: UInt8.self), file: name, companions: companions)
      }
    }
    self.file = file
    tokenBytes = file.tokenBytes
    let patterns = Array(zip(file.addedTokens, file.addedPatterns))
    rawMatcher = AddedTokenMatcher(patterns.filter { !$0.0.isNormalized })
    normalizedMatcher = AddedTokenMatcher(patterns.filter { $0.0.isNormalized })
    ownChatTemplate = companions.chatTemplate
    specialTokens = companions.namedTokens
  }

  /// The maximum size of a `tokenizer.json` in bytes: thirty times that of the largest in use.
  private static let maximumFileSize = 1 << 29

  /// One more than the highest id, added tokens included: the minimum number of rows of an embedding.
  public var vocabularySize: Int { tokenBytes.count }

  /// The tokens outside the merge model, special or not, in the order of the file.
  public var addedTokens: [AddedToken] { file.addedTokens }

  /// The id of the token with exactly this text, or nil. Added tokens come before those of the model.
  public func tokenToID(_ token: String) -> TokenID? {
    if let added = file.addedTokens.first(where: { $0.matches(token) }) { return added.id }
    return Array(token.utf8).withUnsafeBufferPointer { file.model.vocabulary.id(of: $0) }
  }

  /// The bytes that an id decodes to, or nil if no token has this id. They need not be valid UTF-8.
  public func idToToken(_ id: TokenID) -> [UInt8]? {
    tokenBytes.bytes(of: id)
  }

  /// The ids of a text.
  ///
  /// - Parameters:
  ///   - text: any text; it need not be normalized.
  ///   - parsingAddedTokens: whether added tokens in the text ("<|endoftext|>") become their ids; otherwise they are
  ///     encoded like any other text.
  ///   - addingSpecialTokens: whether the special tokens of the file's template are added (Llama 3: the begin token).
  /// - Throws: ``TokenizationError`` if matching a pattern of the file takes too many steps.
  public func encode(
    _ text: String, parsingAddedTokens: Bool = true, addingSpecialTokens: Bool = false
  ) throws -> [TokenID] {
    var text = text
    return try text.withUTF8 {
      try encode(valid: $0, parsingAddedTokens: parsingAddedTokens, addingSpecialTokens: addingSpecialTokens)
    }
  }

  /// The ids of a text given as bytes.
  ///
  /// Bytes that are not UTF-8 are read as U+FFFD, one for each maximal ill-formed subsequence, as Python's
  /// `bytes.decode("utf-8", errors="replace")` does. Parameters and errors are those of the overload for strings.
  public func encode(
    bytes: [UInt8], parsingAddedTokens: Bool = true, addingSpecialTokens: Bool = false
  ) throws -> [TokenID] {
    try bytes.withUnsafeBufferPointer {
      try UTF8Text.withRepaired($0) {
        try encode(valid: $0, parsingAddedTokens: parsingAddedTokens, addingSpecialTokens: addingSpecialTokens)
      }
    }
  }

  /// The concatenated bytes of ids. They need not be valid UTF-8: ids may end inside a character.
  ///
  /// - Throws: ``TokenizationError`` that names the id and the vocabulary's size if an id has no token.
  public func decodeBytes(_ ids: some Sequence<TokenID>, skipSpecialTokens: Bool = false) throws -> [UInt8] {
    var bytes: [UInt8] = []
    for id in ids { try tokenBytes.append(id, skipSpecialTokens: skipSpecialTokens, to: &bytes) }
    return bytes
  }

  /// The text of ids, with U+FFFD in place of bytes that are not UTF-8.
  ///
  /// - Throws: as ``decodeBytes(_:skipSpecialTokens:)``.
  public func decode(_ ids: some Sequence<TokenID>, skipSpecialTokens: Bool = false) throws -> String {
    String(decoding: try decodeBytes(ids, skipSpecialTokens: skipSpecialTokens), as: UTF8.self)
  }

  /// A SHA-256 hash, in 64 hexadecimal digits, of everything that affects encoding: files with equal fingerprints give
  /// the same ids, however they are formatted. It is computed at each call.
  public var fingerprint: String { file.fingerprint }

  /// The ids of a text whose marked parts become no special tokens, and the number of ids before byte positions.
  ///
  /// - Parameter boundaries: positions in the text, ascending. One inside of a token counts that token.
  func encode(_ text: MarkedText, boundaries: [Int]) throws -> (tokens: [TokenID], counts: [Int]) {
    var spans: [Span] = []
    let tokens = try text.bytes.withUnsafeBufferPointer {
      try encode(valid: $0, input: text.inputRanges, parsingAddedTokens: true, addingSpecialTokens: false) {
        spans.append($0)
      }
    }
    let counts = boundaries.map { boundary in
      guard let index = spans.lastIndex(where: { $0.bytes.lowerBound < boundary }) else { return 0 }
      let (span, end) = (spans[index], index + 1 < spans.count ? spans[index + 1].firstToken : tokens.count)
      guard boundary < span.bytes.upperBound else { return end }
      let length = text.bytes[span.bytes.lowerBound..<boundary].withUnsafeBufferPointer(composedLength)
      return span.firstToken + self.count(tokens[span.firstToken..<end], covering: length)
    }
    return (tokens, counts)
  }

  /// A part of a text between added tokens, or an added token.
  private struct Span {
    let bytes: Range<Int>
    let firstToken: Int
  }

  private func composedLength(_ text: Bytes) -> Int {
    file.isComposing ? CanonicalComposition.composed(text)?.count ?? text.count : text.count
  }

  /// The number of leading tokens that cover at least `length` bytes.
  private func count(_ tokens: ArraySlice<TokenID>, covering length: Int) -> Int {
    var covered = 0
    for (index, id) in tokens.enumerated() {
      if covered >= length { return index }
      covered += idToToken(id)?.count ?? 0
    }
    return tokens.count
  }

  /// - Parameters:
  ///   - input: the byte ranges in which no special token is recognized.
  ///   - onSpan: called with each span before it is encoded.
  private func encode(
    valid text: Bytes, input: [Range<Int>] = [], parsingAddedTokens: Bool, addingSpecialTokens: Bool,
    onSpan: (Span) -> Void = { _ in }
  ) throws -> [TokenID] {
    var ids: [TokenID] = addingSpecialTokens ? file.template.prefix : []
    ids.reserveCapacity(ids.count + text.count / 4 + 4)
    let worker = workers.take() ?? Worker(file.model)
    defer { workers.give(worker) }
    let encodePieces = { (text: Bytes) in
      try self.file.preTokenizer.forEachPiece(in: text, worker.matchState) { worker.encoder.encode($0, into: &ids) }
    }
    func encodeText(_ span: Bytes, _ range: Range<Int>) throws {
      onSpan(Span(bytes: range, firstToken: ids.count))
      let composed = file.isComposing ? CanonicalComposition.composed(span) : nil
      // Positions of the input in the normalized text.
      let marks = input.filter { $0.overlaps(range) }.map { mark -> Range<Int> in
        let part = mark.clamped(to: range)
        let bounds = [part.lowerBound, part.upperBound].map { bound in
          let before = Bytes(rebasing: span[..<(bound - range.lowerBound)])
          return composed == nil ? before.count : composedLength(before)
        }
        return bounds[0]..<max(bounds[0], bounds[1])
      }
      func split(_ text: Bytes) throws {
        try normalizedMatcher.split(text, input: marks, onText: { text, _ in try encodePieces(text) }) { id, _ in
          ids.append(id)
        }
      }
      if let composed { try composed.withUnsafeBufferPointer(split) } else { try split(span) }
    }
    if parsingAddedTokens {
      try rawMatcher.split(text, input: input, onText: encodeText) { id, range in
        onSpan(Span(bytes: range, firstToken: ids.count))
        ids.append(id)
      }
    } else {
      let composed = file.isComposing ? CanonicalComposition.composed(text) : nil
      if let composed { try composed.withUnsafeBufferPointer(encodePieces) } else { try encodePieces(text) }
    }
    if addingSpecialTokens { ids += file.template.suffix }
    return ids
  }
}

/// The mutable state of one encoding thread.
private final class Worker {
  let encoder: PieceEncoder
  let matchState = MatchState()

  init(_ model: MergeModel) { encoder = PieceEncoder(model) }
}

/// Idle workers, reused for their piece caches. The lock guards the list; a worker in use has one owner.
private final class WorkerPool: @unchecked Sendable {
  private let lock = NSLock()
  private var idle: [Worker] = []

  func take() -> Worker? { lock.withLock { idle.popLast() } }
  func give(_ worker: Worker) { lock.withLock { idle.append(worker) } }
}
