import Foundation
import Wideband

/// `wideband generate --batch`: continues all documents of a file together.
extension GenerateCommand {
  private struct Line: Encodable {
    let index: Int
    let prompt, text: String
    let tokens: Int
    let finishReason: String
    let seed: UInt64
  }

  func runBatch(_ path: String) throws {
    let documents = try TextFile.find([path]).files.map { try $0.documents() }
    let prompts = documents.flatMap { $0.map(\.text) }
    // A prompt's number is that of its line, counting blank lines.
    var numbers: [Int] = []
    var lines = 0
    for file in documents {
      numbers += file.map { lines + $0.line - 1 }
      lines += file.last?.line ?? 0
    }
    try machine.apply {
      let loaded = try decoding.loadedModel(model, on: machine.device)
      let options = try options(loaded.generation.sampling(sampling.overrides))
      let tokens = try prompts.map(loaded.promptTokens)
      let encoder = JSONEncoder()
      encoder.keyEncodingStrategy = .convertToSnakeCase
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      var ended: [Int: GenerationResult] = [:]
      var next = 0
      let clock = ContinuousClock()
      let start = clock.now
      let results = try loaded.generate(batch: tokens, options: options, seedOffsets: numbers) { index, result in
        ended[index] = result
        while let result = ended.removeValue(forKey: next) {
          let line = Line(
            index: numbers[next], prompt: prompts[next], text: result.text, tokens: result.tokens.count,
            finishReason: "\(result.finishReason)", seed: result.seed)
          try StandardOutput.write(bytes: encoder.encode(line) + [UInt8(ascii: "\n")])
          next += 1
        }
      }
      let seconds = (clock.now - start) / .seconds(1)
      let count = results.reduce(0) { $0 + $1.tokens.count }
      let line = String(
        format: "%d sequences · %d prompt tokens · %d new tokens · %.1f s · %.1f tokens/s", results.count,
        results.reduce(0) { $0 + $1.promptTokenCount }, count, seconds, Double(count) / max(seconds, 1e-9))
      StandardError.line(line)
    }
  }
}
