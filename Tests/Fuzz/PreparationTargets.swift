import Foundation
import Tokenization
import Training

/// Text and conversations on their way to tokens.
extension Targets {
  static func text(_ workspace: Workspace) -> Target {
    Target(
      name: "text",
      seeds: {
        let lines =
          #"{"text": "In the beginning\nGod", "id": 1}"# + "\n" + #"{"id": [1e9], "text": "created é"}"# + "\n"
        return [
          ["a.txt": Array("In the beginning\nGod created the heaven\n".utf8)], ["a.jsonl": Array(lines.utf8)],
          ["a.txt.gz": [UInt8](Data(base64Encoded: members) ?? Data())],
        ]
      }, mutate: Target.mutateOneFile, read: { try prepare($0, "tokenizer", workspace) })
  }

  /// Two members of gzip's form.
  private static let members =
    "H4sIAAAAAAACA/PMUyjJSFVISk3PzMvLzEvncs9PUUguSk0sSU0By2SkJpal5nEBAFbOkTgoAAAAH4sIAAAAAAACA0vMS1EoyUhVSE0sKsngAgD16E/1DgAAAA=="

  static func conversations(_ workspace: Workspace) -> Target {
    Target(
      name: "conversations",
      seeds: {
        let chat = try Data(contentsOf: workspace.folder.appending(path: "chat.jsonl"))
        return [["chat.jsonl": Array(chat.split(separator: UInt8(ascii: "\n")).prefix(6).joined(separator: [0x0A]))]]
      }, mutate: Target.mutateOneFile, read: { try prepare($0, "chat-tokenizer", workspace) })
  }

  /// Prepares a folder, and opens what came of it: nothing half-written may be left after a refusal.
  private static func prepare(_ folder: URL, _ tokenizer: String, _ workspace: Workspace) throws {
    let encoder = try Encoder(Tokenizer(contentsOf: workspace.folder.appending(path: "\(tokenizer)/tokenizer.json")))
    let output = folder.appending(path: "prepared").path
    var options = DataPreparation.Options()
    options.validationFraction = 0.5
    do {
      _ = try DataPreparation([folder.path], encoder: encoder, options: options).run(into: output)
    } catch {
      if FileManager.default.fileExists(atPath: output) { throw Fault("a half-written folder") }
      throw error
    }
    for split in [TokenDataset.Split.train, .validation] { _ = try TokenDataset(folder: output, split: split) }
  }

  private struct Encoder: TextEncoder {
    let tokenizer: Tokenizer
    let endOfText: Int32
    let endOfAnswer: Int32?
    let fingerprint = "fuzz"

    init(_ tokenizer: Tokenizer) throws {
      self.tokenizer = tokenizer
      endOfText = tokenizer.tokenToID("<|endoftext|>") ?? 0
      endOfAnswer = try? tokenizer.endOfTurn
    }

    var vocabularySize: Int { tokenizer.vocabularySize }
    func encode(bytes: [UInt8]) throws -> [Int32] { try tokenizer.encode(bytes: bytes, parsingAddedTokens: false) }
    func byteLengths() -> [Int] { (0..<Int32(clamping: vocabularySize)).map { tokenizer.idToToken($0)?.count ?? 0 } }

    func encode(conversation json: [UInt8], file: String, line: Int) throws -> EncodedDocument {
      let encoded = try tokenizer.encode(Conversation(json: json, file: file, line: line))
      return EncodedDocument(tokens: encoded.tokens, byteCount: json.count, answers: encoded.answers)
    }
  }
}
