import Foundation
import TestSupport
import Testing

/// `generate --batch`.
struct BatchTests {
  private let folder: TemporaryFolder
  private let model: String

  init() throws {
    folder = try TemporaryFolder()
    model = try Workspace.shared().model
  }

  private func file(_ name: String, _ text: String) throws -> String {
    try Data(text.utf8).write(to: folder.url(name))
    return folder(name)
  }

  private func generate(_ arguments: [String], seed: UInt64 = 3) throws -> Executable.Result {
    try Executable.run(["generate", "--model", model, "--seed", "\(seed)", "--max-tokens", "12"] + arguments)
  }

  /// A line of output.
  private struct Line: Decodable {
    let index: Int
    let prompt, text, finish_reason: String
    let tokens: Int
    let seed: UInt64
  }

  private func lines(of result: Executable.Result) throws -> [Line] {
    try result.output.split(separator: "\n").map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
  }

  @Test(arguments: [[], ["--cycle", "2", "--decoding-layers", "1"]])
  func batch_lineForEachDocument(direct: [String]) throws {
    let prompts = ["And God", "In the \"beginning\"", "the", "And"]
    let path = try file("prompts.jsonl", prompts.map { "{\"text\": \(String(reflecting: $0))}\n" }.joined())
    let result = try generate(["--batch", path] + direct).succeeding()
    let lines = try lines(of: result)
    #expect(lines.map(\.index) == [0, 1, 2, 3] && lines.map(\.prompt) == prompts && lines.map(\.seed) == [3, 4, 5, 6])
    for line in lines {
      let alone = try generate(["--prompt", line.prompt] + direct, seed: line.seed)
      #expect(alone.output == line.text + "\n")
    }
    #expect(result.errors.hasPrefix("4 sequences · "))
  }

  @Test("an empty text is an empty prompt, and index and seed are those of the line")
  func emptyText_keepsItsPlace() throws {
    let path = try file(
      "prompts.jsonl", "{\"text\": \"And\"}\n{\"text\": \"\"}\n\n{\"text\": \"the\"}\n{\"text\": \"\"}\n")
    let lines = try lines(of: generate(["--batch", path]).succeeding())
    #expect(lines.map(\.index) == [0, 1, 3, 4] && lines.map(\.prompt) == ["And", "", "the", ""])
    #expect(lines.map(\.seed) == [3, 4, 6, 7])
    for line in lines {
      let alone = try generate(["--prompt", line.prompt], seed: line.seed)
      #expect(alone.output == line.text + "\n")
    }
  }

  @Test func batch_invalid_isRefused() throws {
    let path = try file("prompts.jsonl", "{\"text\": \"a\"}\n{\"prompt\": \"b\"}\n")
    expectError(try generate(["--batch", path]), "\(path): line 2: there is no key 'text'")
    let empty = try file("empty.txt", "")
    expectError(try generate(["--batch", empty]), "\(empty): no text found: expected at least one document")
    expectError(try generate(["--batch", folder("none.txt")]), "\(folder("none.txt")): no such file or folder")
    for (more, error) in [
      (["--prompt", "a"], "--prompt and --batch are both given: expected one of them"),
      (["--draft", "direct"], "--draft is for one text: expected none with --batch"),
      (["--stats"], "--stats is for one text: expected none with --batch"),
    ] {
      let result = try Executable.run(["generate", "--model", model, "--batch", path] + more)
      #expect(result.status != 0 && result.errors.contains(error))
    }
    let long = try file(
      "long.jsonl", "{\"text\": \"a\"}\n{\"text\": \"\(String(repeating: "And God ", count: 4000))\"}\n")
    let result = try generate(["--batch", long])
    #expect(
      result.status == 1 && result.output.isEmpty && result.errors.hasPrefix("Error: sequence 2 of 2: the prompt has "))
  }
}
