import Foundation
import WidebandCheckedInput
import WidebandCheckpoint
import WidebandLanguageModel
import WidebandTokenization
import WidebandTorch
import WidebandVirtualWidth

@testable import WidebandDecoding

/// Model folders and tokenizers of the tests.
enum Fixtures {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Fixtures")

  /// Every model folder by its path below `folder`.
  static let models = ["models", "huggingface"].flatMap { kind in
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.appending(path: kind).path)) ?? []
    return names.sorted().map { "\(kind)/\($0)" }
  }

  static func url(_ name: String) -> URL { folder.appending(path: name) }

  static func tokenizer() throws -> Tokenizer {
    try Tokenizer(contentsOf: url("tokenizers/qwen/tokenizer.json"))
  }

  /// A small wide model with random weights for all tokens of the fixture tokenizer.
  static func loaded(
    contextLength: Int = 64, endOfTextTokens: [TokenID] = [], rows: Int? = nil,
    directDecoding: ModelConfiguration.DirectDecoding? = nil
  ) throws -> LoadedModel {
    let tokenizer = try tokenizer()
    var configuration = ModelConfiguration(
      vocabularySize: rows ?? tokenizer.vocabularySize, hiddenSize: 16, layerCount: 2, headCount: 4,
      intermediateSize: 32)
    configuration.keyValueHeadCount = 2
    configuration.contextLength = contextLength
    configuration.virtualWidth = VirtualWidth(fractionRate: 2, slots: 4)
    configuration.directDecoding = directDecoding
    let model = try LanguageModel(configuration, weights: WeightStore(seed: 3))
    return LoadedModel(model: model, tokenizer: tokenizer, endOfTextTokens: endOfTextTokens)
  }
}

/// A new folder, which is removed after the tests.
struct TemporaryFolder {
  let url = root.appending(path: UUID().uuidString)

  private static let root: URL = {
    atexit { try? FileManager.default.removeItem(at: TemporaryFolder.root) }
    return FileManager.default.temporaryDirectory.appending(path: "wideband-\(UUID().uuidString)")
  }()

  init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }

  /// A copy of a model folder's files.
  init(copying name: String) throws {
    try self.init()
    for file in ["config.json", "model.safetensors", "expected.safetensors"] {
      try FileManager.default.copyItem(
        at: Fixtures.url(name).appending(path: file), to: url.appending(path: file))
    }
  }

  /// A folder of a model and the fixture tokenizer.
  init(_ model: LanguageModel, dtype: DType? = nil) throws {
    try self.init()
    try ModelFolder(url).write(
      configuration: model.configuration.json(), tensors: model.weights.tensors.map { ($0.key, $0.value) },
      dtype: dtype,
      extraFiles: ["tokenizer.json": Data(contentsOf: Fixtures.url("tokenizers/qwen/tokenizer.json"))])
  }

  /// Changes the text of `config.json`.
  func changeConfiguration(_ change: (String) -> String) throws {
    let file = url.appending(path: "config.json")
    try Data(change(String(contentsOf: file, encoding: .utf8)).utf8).write(to: file)
  }
}

/// ‖a − b‖ / ‖b‖ in float64.
func relativeError(_ a: Tensor, _ b: Tensor) throws -> Double {
  try withTorch {
    let exact = b.to(.float64)
    return try ((a.to(.float64) - exact).norm() / exact.norm()).item()
  }
}

/// The description of the error that `body` throws.
func message(_ body: () throws -> Void) -> String? {
  do {
    try body()
    return nil
  } catch { return "\(error)" }
}
