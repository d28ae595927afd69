import Checkpoint
import Decoding
import Foundation
import LanguageModel
import Testing
import Torch

/// The second example of README.md, run on a small model with random weights, and held to what README.md prints.
struct ChatExampleTests {
  /// A folder with a model that can talk, if not sensibly.
  private func model() throws -> TemporaryFolder {
    let temporary = try TemporaryFolder()
    let tokenizer = try Data(contentsOf: Fixtures.url("tokenizers/qwen/tokenizer.json"))
    let configuration = ModelConfiguration(
      vocabularySize: 3005, hiddenSize: 8, layerCount: 1, headCount: 2, intermediateSize: 8)
    let weights = WeightStore(seed: 1)
    _ = try LanguageModel(configuration, weights: weights)
    try ModelFolder(temporary.url.appending(path: "Qwen3-0.6B")).write(
      configuration: configuration.json(), tensors: weights.tensors.map { ($0.key, $0.value) },
      extraFiles: ["tokenizer.json": tokenizer])
    return temporary
  }

  @Test func talks() async throws {
    let models = try model().url
    // example
    let model = try LoadedModel(models.appending(path: "Qwen3-0.6B"))
    var options = GenerationOptions()
    options.sampling = try model.sampling
    options.maximumTokens = 20

    // A session keeps its keys and values from one answer to the next.
    let chat = try ChatSession(model, system: "You answer briefly.", prompt: .direct, options: options)
    for try await event in chat.stream("What is light?") {
      switch event {
      case .text(let piece): print(piece, terminator: "")
      case .finished(let result): print("\n\(result.tokens.count) tokens, then \(result.finishReason)")
      }
    }
    let answer = Task {
      for try await case .text(let piece) in chat.stream("And what is dark?") { print(piece, terminator: "") }
    }
    answer.cancel()  // ends the computation as well, after the pass that is running
    _ = await answer.result
    for message in chat.messages { print("\(message.role): \(message.content)") }
    // end of example
    #expect(chat.messages.count >= 3)
    #expect(chat.messages[0].content == "You answer briefly.")
    #expect(chat.messages[1].content == "What is light?")
  }

  /// README.md heads the example with imports that stand at the top of this file.
  @Test func readmeShowsTheSame() throws {
    let file = URL(filePath: #filePath)
    let source = try String(contentsOf: file, encoding: .utf8).components(separatedBy: "\n")
    let start = try #require(source.firstIndex { $0.hasSuffix("// example") })
    let end = try #require(source.firstIndex { $0.hasSuffix("// end of example") })
    let example = source[(start + 1)..<end].map { String($0.dropFirst(4)) }

    let root = file.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let readme = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
      .components(separatedBy: "\n")
    let fence = try #require(readme.lastIndex(of: "```swift"))
    let block = readme[(fence + 1)...].prefix { $0 != "```" }
    let imports = block.prefix { $0.hasPrefix("import ") }
    #expect(Array(block.dropFirst(imports.count + 1)) == example)
    #expect(!imports.isEmpty && imports.allSatisfy(source.contains))
  }
}
