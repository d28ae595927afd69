import Foundation
import Testing
import WidebandCheckpoint
import WidebandDecoding
import WidebandLanguageModel
import WidebandTorch

/// The second example of docs/library.md, run on a small random model and compared with the text of the page.
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

  /// The page shows the example. Wideband re-exports the modules that this file imports.
  @Test func pageShowsTheSame() throws {
    let file = URL(filePath: #filePath)
    let source = try String(contentsOf: file, encoding: .utf8).components(separatedBy: "\n")
    let start = try #require(source.firstIndex { $0.hasSuffix("// example") })
    let end = try #require(source.firstIndex { $0.hasSuffix("// end of example") })
    let example = source[(start + 1)..<end].map { String($0.dropFirst(4)) }

    let root = file.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let page = try String(contentsOf: root.appending(path: "docs/library.md"), encoding: .utf8)
      .components(separatedBy: "\n")
    let fence = try #require(page.lastIndex(of: "```swift"))
    let block = page[(fence + 1)...].prefix { $0 != "```" }
    let imports = block.prefix { $0.hasPrefix("import ") }
    #expect(Array(block.dropFirst(imports.count + 1)) == example)
    #expect(!imports.isEmpty && imports.allSatisfy { $0 == "import Wideband" || source.contains($0) })
  }
}
