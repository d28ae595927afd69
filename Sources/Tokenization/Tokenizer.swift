import Foundation
import WidebandCheckedInput

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

  /// The names of a tokenizer's files, `tokenizer.json` first; the others are optional.
  public static let fileNames = CompanionFiles.names

  /// Loads a `tokenizer.json`, with the added tokens of `tokenizer_config.json`, `added_tokens.json` and
  /// `special_tokens_map.json` in the same folder.
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

  private func encode(valid text: Bytes, parsingAddedTokens: Bool, addingSpecialTokens: Bool) throws -> [TokenID] {
    var ids: [TokenID] = addingSpecialTokens ? file.template.prefix : []
    ids.reserveCapacity(ids.count + text.count / 4 + 4)
    let worker = workers.take() ?? Worker(file.model)
    defer { workers.give(worker) }
    let encodePieces = { (text: Bytes) in
      try self.file.preTokenizer.forEachPiece(in: text, worker.matchState) { worker.encoder.encode($0, into: &ids) }
    }
    let encodeText = { (text: Bytes) in
      let composed = self.file.isComposing ? CanonicalComposition.composed(text) : nil
      let split = { (text: Bytes) in
        guard parsingAddedTokens else { return try encodePieces(text) }
        try self.normalizedMatcher.split(text, onText: encodePieces) { ids.append($0) }
      }
      if let composed { try composed.withUnsafeBufferPointer(split) } else { try split(text) }
    }
    if parsingAddedTokens {
      try rawMatcher.split(text, onText: encodeText) { ids.append($0) }
    } else {
      try encodeText(text)
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
