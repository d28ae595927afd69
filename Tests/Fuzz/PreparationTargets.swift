import Foundation
import Wideband
import WidebandCheckedInput

/// Preparation of text and conversations.
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

  /// Two gzip members.
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

  /// Prepares a folder and opens the result; after a refusal no incomplete folder may exist.
  private static func prepare(_ folder: URL, _ tokenizer: String, _ workspace: Workspace) throws {
    let encoder = try Tokenizer(contentsOf: workspace.folder.appending(path: "\(tokenizer)/tokenizer.json"))
    let output = folder.appending(path: "prepared").path
    var options = DataPreparation.Options()
    options.validationFraction = 0.5
    do {
      _ = try DataPreparation([folder.path], encoder: encoder, options: options).run(into: output)
    } catch {
      if exists(output) { throw Fault("a half-written folder") }
      throw error
    }
    for split in [TokenDataset.Split.train, .validation] { _ = try TokenDataset(folder: output, split: split) }
  }
}
