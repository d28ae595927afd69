import Foundation
import WidebandCheckedInput
import WidebandData

/// A tokenizer whose token ids are bytes, with an id for the end of a text after them.
public struct ByteEncoder: TextEncoder {
  /// The number of ids.
  public var vocabularySize = 257
  /// The fingerprint of prepared data.
  public var fingerprint = "bytes"
  /// The id after a text.
  public var endOfText: TokenID = 256
  /// The id after an answer.
  public var endOfAnswer: TokenID? { endOfText }

  /// An encoder with other values than the default ones.
  public init(vocabularySize: Int = 257, fingerprint: String = "bytes", endOfText: TokenID = 256) {
    self.vocabularySize = vocabularySize
    self.fingerprint = fingerprint
    self.endOfText = endOfText
  }

  /// The bytes as ids.
  public func encode(document: [UInt8]) -> [TokenID] { document.map(TokenID.init) }
  /// 1 for each byte, 0 for other ids.
  public var byteLengths: [Int] { (0..<vocabularySize).map { $0 < 256 ? 1 : 0 } }
}

extension ByteEncoder {
  private struct Line: Decodable {
    let messages: [String]
  }

  /// Encodes `{"messages": ["question", "answer", …]}`; each answer is followed by an end.
  public func encode(conversation json: [UInt8], file: String, line number: Int) throws -> EncodedDocument {
    guard let line = try? JSONDecoder().decode(Line.self, from: Data(json)) else {
      throw DataError.malformed(path: file, sentence: "\(file): line \(number): is no conversation")
    }
    var tokens: [TokenID] = []
    var answers: [Range<Int>] = []
    for (index, message) in line.messages.enumerated() {
      let start = tokens.count
      tokens += message.utf8.map(TokenID.init)
      guard index % 2 == 1 else { continue }
      tokens.append(endOfText)
      answers.append(start..<tokens.count)
    }
    return EncodedDocument(tokens: tokens, byteCount: line.messages.joined().utf8.count, answers: answers)
  }
}
