import Foundation
import Testing
import WidebandCheckpoint
import WidebandLanguageModel
import WidebandTorch
import WidebandVirtualWidth

@testable import WidebandDecoding
@testable import WidebandVerification

/// Folders of quantized models, compared with folders that are quantized when they are loaded.
@Suite struct QuantizedModelTests {
  /// A wide model in bfloat16 with a tokenizer.
  private func folder() throws -> TemporaryFolder { try TemporaryFolder(Fixtures.loaded().model, dtype: .bfloat16) }

  @Test(arguments: QuantizationScheme.allCases, [DType?.none, .float32, .bfloat16])
  func aFolderHoldsWhatIsMadeOnTheWayIn(scheme: QuantizationScheme, dtype: DType?) throws {
    let source = try folder()
    let loaded = try LoadedModel(source.url, dtype: dtype, quantizing: scheme)
    #expect(loaded.model.configuration.quantization == scheme)
    #expect(SequenceKVCache(loaded.model).format == .bfloat16)
    let target = try TemporaryFolder(LoadedModel(source.url, quantizing: scheme).model)
    let reread = try LoadedModel(target.url, dtype: dtype)
    #expect(Array(reread.model.weights.tensors.keys) == Array(loaded.model.weights.tensors.keys))
    for (name, tensor) in loaded.model.weights.tensors {
      let other = try #require(reread.model.weights.tensors[name])
      #expect(other.dtype == tensor.dtype && other.shape == tensor.shape)
      #expect(try other.withContiguousBytes { Array($0) } == tensor.withContiguousBytes { Array($0) }, "\(name)")
    }
    let tokens = Tensor([5, 900, 17] as [Int64], shape: [1, 3])
    let logits = try [loaded, reread].map { model in try withTorch { model.model.logits(tokens) } }
    #expect(try logits[0].elements(Float.self) == logits[1].elements(Float.self))
    let exact = try withTorch { try LoadedModel(source.url, dtype: .float32).model.logits(tokens) }
    #expect(try relativeError(logits[0], exact) < (scheme == .int8 ? 0.03 : 0.3))
    var options = GenerationOptions()
    options.maximumTokens = 4
    options.sampling = .greedy
    #expect(try loaded.generate("Hello", options: options).tokens == reread.generate("Hello", options: options).tokens)
  }

  @Test func whatIsQuantizedIsNotQuantizedAgain() throws {
    let source = try TemporaryFolder(LoadedModel(folder().url, quantizing: .int8).model)
    let path = ModelFolder(source.url).url.path
    #expect(
      message { _ = try LoadedModel(source.url, quantizing: .int4) }
        == "\(path): the weights are quantized already (int8): expected floats")
    try FileManager.default.copyItem(
      at: Fixtures.url("models/plain/expected.safetensors"), to: source.url.appending(path: "expected.safetensors"))
    #expect(
      message { _ = try Verification(source.url) }
        == "\(path): tensor 'model.embed_tokens.weight' is quantized (int8): "
        + "expected floats, which alone have derivatives")
  }

  /// As many published folders of tied models do.
  @Test func aTiedModelsSecondHeadIsNotRead() throws {
    let configuration = ModelConfiguration(
      vocabularySize: 9, hiddenSize: 8, layerCount: 1, headCount: 2, intermediateSize: 8)
    let folder = try TemporaryFolder()
    let head = try WeightMatrix(.ones([9, 8])).quantized(.int8)
    let scales = try #require(head.scales)
    try ModelFolder(folder.url).write(
      configuration: configuration.json(),
      tensors: ["lm_head", "model.embed_tokens"].flatMap {
        [("\($0).weight", head.values), ("\($0).weight_scale", scales)]
      })
    var tied = configuration
    tied.isHeadTied = true
    #expect(
      try tied.weights(in: ModelFolder(folder.url)).keys.sorted()
        == ["model.embed_tokens.weight", "model.embed_tokens.weight_scale"])
    #expect(try configuration.weights(in: ModelFolder(folder.url)).count == 4)
  }
}
