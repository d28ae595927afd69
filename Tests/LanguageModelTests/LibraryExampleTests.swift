import Foundation
import Testing
import WidebandLanguageModel
import WidebandTorch
import WidebandVirtualWidth

/// The first example of docs/library.md, run and compared with the text of the page.
struct LibraryExampleTests {
  @Test func learnsTheSentence() throws {
    // example
    var configuration = ModelConfiguration(
      vocabularySize: 256, hiddenSize: 64, layerCount: 2, headCount: 4, intermediateSize: 176)
    configuration.virtualWidth = VirtualWidth(fractionRate: 4, slots: 16)
    let model = try LanguageModel(configuration, weights: WeightStore(seed: 1))
    let weights = model.weights.tensors.values.map { $0.requiringGradient() }
    let text = Tensor("In the beginning was the Word.".utf8.map(Int64.init), shape: [1, 30])
    let (tokens, targets) = (text.slice(1, 0..<29), text.slice(1, 1...))
    for _ in 0..<40 {
      try withTorch {
        model.losses(tokens, targets: targets, in: ForwardContext(length: 29, configuration: configuration)).total
          .backward()
        for weight in weights {
          if let gradient = weight.gradient { withoutGradients { weight.copy(from: weight - 0.2 * gradient) } }
          weight.clearGradient()
        }
      }
    }
    let learned = try withTorch { try model.logits(tokens).argmax(-1).elements(UInt8.self) }
    print(String(decoding: learned, as: UTF8.self))  // n the beginning was the Word.
    // end of example
    #expect(String(decoding: learned, as: UTF8.self) == "n the beginning was the Word.")
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
    let fence = try #require(page.firstIndex(of: "```swift"))
    let block = page[(fence + 1)...].prefix { $0 != "```" }
    let imports = block.prefix { $0.hasPrefix("import ") }
    #expect(Array(block.dropFirst(imports.count + 1)) == example)
    #expect(!imports.isEmpty && imports.allSatisfy { $0 == "import Wideband" || source.contains($0) })
  }
}
