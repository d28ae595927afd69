import Foundation

@testable import Training

/// A new folder that disappears with this object.
final class TemporaryFolder {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.appending(path: "wideband-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The path of `name` below the folder.
  func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

  /// Writes a file, with the folders above it, and returns its path.
  @discardableResult
  func write(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
    let url = URL(filePath: self(name))
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: url)
    return self(name)
  }

  /// Writes a text file and returns its path.
  @discardableResult
  func write(_ name: String, text: String) throws -> String { try write(name, text.utf8) }

  /// The text of a file.
  func read(_ name: String) throws -> String { try String(contentsOfFile: self(name), encoding: .utf8) }

  /// The names in a folder, hidden ones too, sorted.
  func names(_ name: String = ".") throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: self(name)).sorted()
  }
}

/// A tokenizer whose token ids are bytes, with an end of text after them.
struct ByteEncoder: TextEncoder {
  var vocabularySize = 257
  var fingerprint = "bytes"
  var endOfText: Int32 = 256
  var endOfAnswer: Int32? { endOfText }
  func encode(bytes: [UInt8]) -> [Int32] { bytes.map(Int32.init) }
  func byteLengths() -> [Int] { (0..<vocabularySize).map { $0 < 256 ? 1 : 0 } }
}

extension ByteEncoder {
  private struct Line: Decodable {
    let messages: [String]
  }

  /// Questions and answers by turns, each answer followed by an end.
  func encode(conversation json: [UInt8], file: String, line number: Int) throws -> EncodedDocument {
    guard let line = try? JSONDecoder().decode(Line.self, from: Data(json)) else {
      throw DataError("\(file): line \(number): is no conversation")
    }
    var tokens: [Int32] = []
    var answers: [Range<Int>] = []
    for (index, message) in line.messages.enumerated() {
      let start = tokens.count
      tokens += message.utf8.map(Int32.init)
      guard index % 2 == 1 else { continue }
      tokens.append(endOfText)
      answers.append(start..<tokens.count)
    }
    return EncodedDocument(tokens: tokens, byteCount: line.messages.joined().utf8.count, answers: answers)
  }
}

/// What an operation says when it fails.
func message(_ body: () throws -> Void) -> String {
  do {
    try body()
    return "no error"
  } catch { return "\(error)" }
}
