import Foundation
import TestSupport
import Testing
import WidebandCheckedInput
import WidebandDecoding
import WidebandLanguageModel
import WidebandTokenization
import WidebandTorch

/// Models that cases are about.
enum SpecialModels {
  /// A token whose logit is minus infinity in ``broken()``.
  static let impossibleToken: TokenID = 5

  /// A model whose weights are too large for one token: after any prompt its logit is minus infinity.
  static func broken() throws -> LoadedModel {
    let base = try TestServer.model.get()
    let configuration = base.model.configuration
    let store = WeightStore(seed: 3)
    _ = try LanguageModel(configuration, weights: store)
    var tensors = store.tensors.reduce(into: [String: Tensor]()) { $0[$1.key] = $1.value }
    let width = configuration.hiddenSize
    // The first channel is large in each position, and has the largest weight of the token.
    try change("model.embed_tokens.weight", of: &tensors) { values in
      for row in 0..<configuration.vocabularySize { values[row * width] = 1000 }
    }
    try change("lm_head.weight", of: &tensors) { $0[Int(impossibleToken) * width] = -3e38 }
    let model = try LanguageModel(configuration, weights: WeightStore(stored: tensors, mutable: false))
    return LoadedModel(model: model, tokenizer: base.tokenizer, endOfTextTokens: [])
  }

  /// A model with direct decoding.
  static func direct(cycle: Int) throws -> LoadedModel {
    let base = try TestServer.model.get()
    var configuration = base.model.configuration
    configuration.layerCount = 3
    configuration.directDecoding = .init(encodingLayers: 1, decodingLayers: 1, cycle: cycle, gate: .add)
    let model = try LanguageModel(configuration, weights: WeightStore(seed: 3))
    return LoadedModel(model: model, tokenizer: base.tokenizer, endOfTextTokens: [])
  }

  private static func change(
    _ name: String, of tensors: inout [String: Tensor], _ body: (inout [Float]) -> Void
  ) throws {
    let tensor = try #require(tensors[name])
    try withTorch {
      var values = try tensor.elements(Float.self)
      body(&values)
      tensors[name] = Tensor(values, shape: tensor.shape)
    }
  }

  /// The model with a chat template.
  static func templated(_ template: String) throws -> LoadedModel {
    let folder = try TemporaryFolder()
    let file = folder.url("tokenizer.json")
    try FileManager.default.copyItem(at: Fixtures.url("tokenizers/qwen/tokenizer.json"), to: file)
    try folder.write("chat_template.jinja", text: template)
    return LoadedModel(
      model: try TestServer.model.get().model, tokenizer: try Tokenizer(contentsOf: file), endOfTextTokens: [])
  }
}
