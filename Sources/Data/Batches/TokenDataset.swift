import Foundation
import WidebandCheckedInput
import WidebandCheckpoint
import WidebandTorch

/// Batches of prepared data, whose tokens are mapped into memory.
///
/// The tokens of all shards are one sequence. Window w is the T tokens from w·T on, together with the next one. Every
/// epoch contains each window once, in an order that the seed and the epoch determine. The batch of a step depends on
/// the step's number only, so a resumed run need not replay earlier steps. Conversations are not cut into windows:
/// whole conversations are packed into rows, which take the place of windows.
public struct TokenDataset {
  /// A part of prepared data.
  public enum Split: String, CaseIterable, Sendable {
    /// The training part.
    case train
    /// The held-out part.
    case validation
  }

  /// The description of the folder.
  public let description: DataDescription
  /// The length in bytes of each token's text, 0 for special tokens, int64 `[V]`.
  public let byteLengths: Tensor
  /// The number of tokens in the split.
  public var tokenCount: Int { starts.last ?? 0 }

  package let folder: String
  private let split: Split
  let shards: [TokenArray]
  /// The start of each shard in the sequence, and the end of the last one.
  let starts: [Int]
  /// The layout of conversations; nil for text.
  let conversations: ConversationLayout?

  /// Maps the shards of one split of the prepared data in `folder`.
  ///
  /// - Throws: `DataError` if there is no prepared data, or a file is missing, damaged, or contradicts `data.json`.
  public init(folder: String, split: Split) throws {
    description = try DataDescription.read(from: folder)
    self.folder = folder
    self.split = split
    var starts = [0]
    var layout = ConversationLayout()
    shards = try description[split].shards.map { shard in
      let array = try TokenArray("\(folder)/\(shard.tokensFile)", expecting: [.uint16, .uint32])
      guard array.count == shard.tokens else {
        throw DataError.mismatch(
          array.path, "has \(array.count) tokens, but \(DataDescription.fileName) says \(shard.tokens)")
      }
      let documents = try TokenArray("\(folder)/\(shard.startsFile)", expecting: [.int64])
      guard documents.count == shard.documents else {
        throw DataError.mismatch(
          documents.path,
          "has \(documents.count) documents, but \(DataDescription.fileName) says \(shard.documents)")
      }
      try Self.check(documents, tokenCount: array.count)
      if let answers = shard.answersFile {
        try layout.append(
          starts: documents,
          answers: TokenArray("\(folder)/\(answers)", expecting: [.int64]), tokenCount: array.count,
          offset: starts.last ?? 0)
      }
      starts.append((starts.last ?? 0) + array.count)
      return array
    }
    self.starts = starts
    conversations = description.documentKind == .conversations ? layout : nil
    let lengths = try TokenArray("\(folder)/\(DataDescription.byteLengthsName)", expecting: [.int64])
    guard lengths.count == description.vocabularySize else {
      throw DataError.mismatch(
        lengths.path, "has \(lengths.count) elements: expected \(description.vocabularySize) tokens")
    }
    let elements = lengths.elements
    if let id = elements.firstIndex(where: { !(0...Int64(Int32.max)).contains($0) }) {
      throw DataError.malformed(
        lengths.path, "token \(id) stands for \(elements[id]) bytes: expected 0 to \(Int32.max)")
    }
    guard elements.contains(where: { $0 > 0 }) else {
      throw DataError.malformed(
        lengths.path, "token 0 and all others stand for 0 bytes: expected some that stand for text")
    }
    byteLengths = try withTorch { Tensor(elements) }
  }

  /// Refuses document starts that do not strictly rise from 0 to less than `tokenCount`.
  private static func check(_ starts: TokenArray, tokenCount: Int) throws {
    var last: Int64 = -1
    try starts.forEachPart { part in
      for start in part {
        guard start < tokenCount, last < 0 ? start == 0 : start > last else {
          throw DataError.malformed(starts.path, "does not hold rising positions of documents in \(tokenCount) tokens")
        }
        last = start
      }
    }
  }

  /// Refuses data of another tokenizer, or of a larger vocabulary than the model's.
  ///
  /// - Parameters:
  ///   - fingerprint: the fingerprint of the tokenizer.
  ///   - vocabularySize: V of the model, at least the tokenizer's.
  public func check(fingerprint: String, vocabularySize: Int) throws {
    guard description.fingerprint == fingerprint else {
      throw DataError.mismatch(
        folder,
        "was prepared with the tokenizer \(description.fingerprint), not with \(fingerprint); prepare the data again")
    }
    guard description.vocabularySize <= vocabularySize else {
      throw DataError.mismatch(
        folder, "has a vocabulary of \(description.vocabularySize) tokens, the model has \(vocabularySize)")
    }
  }

  /// Refuses data whose byte lengths differ from the tokenizer's.
  ///
  /// - Parameter byteLengths: the length in bytes of each id's text; 0 for special tokens.
  public func check(byteLengths expected: [Int]) throws {
    let found = try byteLengths.elements(Int64.self)
    guard let id = zip(found, expected).enumerated().first(where: { $1.0 != $1.1 })?.offset else { return }
    throw DataError.mismatch(
      "\(folder)/\(DataDescription.byteLengthsName)",
      "token \(id) stands for \(found[id]) bytes: expected \(expected[id]), as the tokenizer says")
  }

  /// Whether there are no targets: text needs at least two tokens.
  public var isEmpty: Bool { tokenCount < 2 }

  /// The number of rows of `length` tokens of a whole evaluation; the last row of text may not be full.
  ///
  /// - Throws: `DataError` if there is none.
  package func evaluationRowCount(length: Int) throws -> Int {
    guard length >= 1, conversations == nil else { return try windowCount(length: length) }
    guard !isEmpty else {
      throw DataError.insufficientText(
        folder, "the \(split.rawValue) split has \(tokenCount) tokens: expected at least 2 to measure a loss")
    }
    return (tokenCount - 2) / length + 1
  }

  /// The number of rows of one epoch: windows of `length` tokens, or rows packed with conversations.
  ///
  /// - Throws: `DataError` if there is none.
  public func windowCount(length: Int) throws -> Int {
    guard length >= 1 else { throw DataError.invalidArgument("sequence length \(length): expected at least 1") }
    if let conversations {
      let rows = conversations.rows(length: length).count
      guard rows > 0 else {
        throw DataError.insufficientText(
          folder,
          "the \(split.rawValue) split has no conversation with an answer that begins within \(length) tokens")
      }
      return rows
    }
    guard tokenCount > length else {
      throw DataError.insufficientText(
        folder,
        "the \(split.rawValue) split has \(tokenCount) tokens: expected at least \(length + 1) for sequences of \(length)"
      )
    }
    return (tokenCount - 1) / length
  }
}
