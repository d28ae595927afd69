import CheckedInput
import Checkpoint
import Foundation
import Torch

/// The tokens of prepared data, mapped into memory, as batches.
///
/// The tokens of all shards are one sequence, in which window w is the L tokens from w·L on together with the one that
/// follows them. In every epoch each window comes once, in an order that the seed and the epoch determine; the
/// batch of a step is computed from the step's number alone, so that a resumed run replays nothing. Conversations are
/// not cut into windows: as many whole ones as fit share a row, and rows take the place of windows.
public struct TokenDataset: Sendable {
  /// A part of prepared data.
  public enum Split: String, CaseIterable, Sendable {
    /// The part to train on.
    case train
    /// The part that is held out.
    case validation
  }

  /// What the folder holds.
  public let description: DataDescription
  /// Bytes of text that each token stands for, 0 for special tokens, `[V]`.
  public let byteLengths: Tensor
  /// The number of tokens in the split.
  public var tokenCount: Int { starts.last ?? 0 }

  let folder: String
  private let split: Split
  let shards: [TokenArray]
  /// Where each shard starts in the sequence, and where the last one ends.
  let starts: [Int]
  /// Where conversations stand; nil for text.
  let conversations: ConversationLayout?

  /// Maps the shards of one split of the prepared data in `folder`.
  ///
  /// - Throws: `DataError` if there is no prepared data, or a file in it is missing, damaged, or not as described.
  public init(folder: String, split: Split) throws {
    description = try DataDescription.read(from: folder)
    self.folder = folder
    self.split = split
    var starts = [0]
    var layout = ConversationLayout()
    shards = try description[split].shards.map { shard in
      let array = try TokenArray("\(folder)/\(shard.tokensFile)", expecting: [.uint16, .uint32])
      guard array.count == shard.tokens else {
        throw DataError(array.path, "has \(array.count) tokens, but \(DataDescription.fileName) says \(shard.tokens)")
      }
      let documents = try TokenArray("\(folder)/\(shard.startsFile)", expecting: [.int64])
      guard documents.count == shard.documents else {
        throw DataError(
          documents.path,
          "has \(documents.count) documents, but \(DataDescription.fileName) says \(shard.documents)")
      }
      if shard.answersFile == nil { try Self.check(documents, tokenCount: array.count) }
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
    conversations = description.form == .conversations ? layout : nil
    let lengths = try TokenArray("\(folder)/\(DataDescription.byteLengthsName)", expecting: [.int64])
    guard lengths.count == description.vocabularySize else {
      throw DataError(lengths.path, "has \(lengths.count) elements, expected \(description.vocabularySize) tokens")
    }
    let elements = lengths.elements
    if let id = elements.firstIndex(where: { !(0...Int64(Int32.max)).contains($0) }) {
      throw DataError(lengths.path, "token \(id) stands for \(elements[id]) bytes: expected 0 to \(Int32.max)")
    }
    guard elements.contains(where: { $0 > 0 }) else {
      throw DataError(lengths.path, "token 0 and all others stand for 0 bytes: expected some that stand for text")
    }
    byteLengths = try withTorch { Tensor(elements) }
  }

  /// Refuses starts of documents that do not rise from 0 to less than `tokenCount`.
  private static func check(_ starts: TokenArray, tokenCount: Int) throws {
    var last: Int64 = -1
    try starts.forEachPart { part in
      for start in part {
        guard start < tokenCount, last < 0 ? start == 0 : start > last else {
          throw DataError(starts.path, "does not hold rising positions of documents in \(tokenCount) tokens")
        }
        last = start
      }
    }
  }

  /// Refuses data that another tokenizer made, or that has ids a model does not know.
  ///
  /// - Parameter fingerprint: that of the tokenizer; `vocabularySize`: V of the model, at least the tokenizer's.
  public func check(fingerprint: String, vocabularySize: Int) throws {
    guard description.fingerprint == fingerprint else {
      throw DataError(
        folder,
        "was prepared with the tokenizer \(description.fingerprint), not with \(fingerprint); prepare the data again")
    }
    guard description.vocabularySize <= vocabularySize else {
      throw DataError(
        folder, "has a vocabulary of \(description.vocabularySize) tokens, the model has \(vocabularySize)")
    }
  }

  /// Refuses data in which a token stands for another number of bytes than the tokenizer says.
  ///
  /// - Parameter byteLengths: bytes of text that each of the tokenizer's ids stands for; 0 for special tokens.
  public func check(byteLengths expected: [Int]) throws {
    let found = try byteLengths.elements(Int64.self)
    guard let id = zip(found, expected).enumerated().first(where: { $1.0 != $1.1 })?.offset else { return }
    throw DataError(
      "\(folder)/\(DataDescription.byteLengthsName)",
      "token \(id) stands for \(found[id]) bytes: expected \(expected[id]), as the tokenizer says")
  }

  /// Whether there is nothing to predict: text needs two tokens, of which the second follows the first.
  public var isEmpty: Bool { tokenCount < 2 }

  /// The number of rows of `length` tokens in which everything is predicted once; that of text may not be full.
  ///
  /// - Throws: `DataError` if there is not a single one.
  func evaluationRowCount(length: Int) throws -> Int {
    guard length >= 1, conversations == nil else { return try windowCount(length: length) }
    guard !isEmpty else {
      throw DataError(
        folder, "the \(split.rawValue) split has \(tokenCount) tokens: expected at least 2 to measure a loss")
    }
    return (tokenCount - 2) / length + 1
  }

  /// The number of windows of `length` tokens, or of rows that conversations share: the rows of one epoch.
  ///
  /// - Throws: `DataError` if there is not a single one.
  public func windowCount(length: Int) throws -> Int {
    guard length >= 1 else { throw DataError("sequence length \(length): expected at least 1") }
    if let conversations {
      let rows = conversations.rows(length: length).count
      guard rows > 0 else {
        throw DataError(
          folder,
          "the \(split.rawValue) split has no conversation with an answer that begins within \(length) tokens")
      }
      return rows
    }
    guard tokenCount > length else {
      throw DataError(
        folder,
        "the \(split.rawValue) split has \(tokenCount) tokens, expected at least \(length + 1) for sequences of \(length)"
      )
    }
    return (tokenCount - 1) / length
  }
}
