import Foundation
import Wideband

/// Opens a model folder and streams text: Generate FOLDER PROMPT
@main
struct Generate {
  static func main() async {
    guard CommandLine.arguments.count == 3 else {
      print("usage: Generate FOLDER PROMPT")
      exit(2)
    }
    do {
      try await generate(CommandLine.arguments[2], with: URL(filePath: CommandLine.arguments[1]))
    } catch {
      // Every error of the library describes itself in one sentence.
      FileHandle.standardError.write(Data("Generate: \(error)\n".utf8))
      exit(1)
    }
  }

  static func generate(_ prompt: String, with folder: URL) async throws {
    Machine.prepare()
    let model = try LoadedModel(folder)
    var options = GenerationOptions()
    options.sampling = try model.sampling
    options.maximumTokens = 200

    for try await event in model.stream(try model.promptTokens(prompt), options: options) {
      switch event {
      case .text(let piece): FileHandle.standardOutput.write(Data(piece.utf8))
      case .finished(let result):
        print("\n\(result.tokens.count) tokens at \(Int(result.tokensPerSecond ?? 0)) a second: \(result.finishReason)")
      }
    }
  }
}
