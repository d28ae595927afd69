import Foundation
import TestSupport
import Testing
import WidebandTorch
import WidebandVirtualWidth

@testable import WidebandLanguageModel

/// Models with quantized matrices.
@Suite struct QuantizedModelTests {
  private func model(
    _ configuration: ModelConfiguration, _ scheme: QuantizationScheme?
  ) throws -> LanguageModel {
    var configuration = configuration
    configuration.quantization = scheme
    return try LanguageModel(configuration, weights: WeightStore(seed: 4, quantizing: scheme))
  }

  @Test(arguments: ModelConfiguration.variety.map(\.name), QuantizationScheme.allCases)
  func quantizedModel_equalsDequantizedModel(name: String, scheme: QuantizationScheme) throws {
    let configuration = try #require(ModelConfiguration.variety.first { $0.name == name }).configuration
    let quantized = try model(configuration, scheme)
    let tensors = try withTorch {
      quantized.weights.tensors.filter { !$0.key.hasSuffix(".weight_scale") }.map { name, tensor in
        (name, quantized.weights.matrices[name]?.floats ?? tensor)
      }
    }
    let dequantized = try LanguageModel(
      configuration, weights: WeightStore(stored: Dictionary(uniqueKeysWithValues: tensors), mutable: false))
    let random = try RandomTensors(seed: 1)
    let tokens = random.tokens(2, 9, below: configuration.vocabularySize)
    let targets = random.tokens(2, 9, below: configuration.vocabularySize)
    func outputs(_ model: LanguageModel) throws -> (Tensor, [Double]) {
      try withTorch {
        try withoutGradients {
          let losses = model.losses(
            tokens, targets: targets, in: ForwardContext(length: 9, configuration: configuration))
          return (model.logits(tokens), try losses.named.map { try $0.value.item() })
        }
      }
    }
    let (found, expected) = try (outputs(quantized), outputs(dequantized))
    #expect(try relativeError(of: found.0, to: expected.0) < 1e-6)
    #expect(zip(found.1, expected.1).allSatisfy { abs($0 - $1) < 1e-5 })
    #expect(quantized.weights.parameterCount == dequantized.weights.parameterCount)
  }

  @Test("routers, norms and connections are not quantized") func vectors_notQuantized() throws {
    let weights = try model(.everything, .int8).weights
    let floats = weights.tensors.keys.filter { weights.matrices[$0] == nil && !$0.hasSuffix(".weight_scale") }
    #expect(
      floats.allSatisfy {
        $0.contains("norm") || $0.contains("_connection.") || $0.hasSuffix("mlp.gate.weight")
      })
    #expect(weights.matrices.values.allSatisfy { $0.scheme == .int8 })
    #expect(floats.allSatisfy { weights.tensors[$0]?.dtype == .float32 })
    for name in [
      "model.embed_tokens", "lm_head", "model.reduce", "model.mtp.1.proj", "model.mtp.0.reduce",
      "model.layers.1.self_attn.q_proj", "model.layers.0.mlp.experts.5.down_proj",
    ] { #expect(weights.matrices[name + ".weight"] != nil, "\(name)") }
  }

  @Test("weights not quantized as configured are rejected") func quantization_mismatch() throws {
    var configuration = ModelConfiguration.small()
    let error = { (scheme: QuantizationScheme?) in
      message { _ = try LanguageModel(configuration, weights: WeightStore(seed: 1, quantizing: scheme)) }
    }
    #expect(
      error(.int8) == "there is no quantization_config, but tensor 'model.embed_tokens.weight' is in int8")
    configuration.quantization = .int4
    #expect(
      error(.int8) == "quantization_config says int4, but tensor 'model.embed_tokens.weight' is in int8")
    #expect(
      error(nil) == "quantization_config says int4, but tensor 'model.embed_tokens.weight' is of floats")
    #expect(error(.int4) == "no error")
  }

  /// All widths are multiples of 128, so that no group is padded.
  @Test(arguments: [QuantizationScheme?.none, .int8, .int4]) func bytesAreThoseOfTheStore(
    scheme: QuantizationScheme?
  ) throws {
    var configuration = ModelConfiguration(
      vocabularySize: 70, hiddenSize: 128, layerCount: 2, headCount: 4, headSize: 64, intermediateSize: 256)
    configuration.virtualWidth = VirtualWidth(fractionRate: 1, slots: 3)
    configuration.multiTokenPrediction = .init(depth: 1)
    let weights = try model(configuration, scheme).weights
    configuration.quantization = scheme
    let parts = ModelCost(configuration, contextLength: 16).parts
    // A token reads one row of the embedding.
    let unread = 69 * 128 * (scheme?.bytesPerWeight ?? 4)
    #expect(parts.reduce(0) { $0 + $1.bytes - 4 * $1.traffic } == Double(weights.byteCount) - unread)
  }
}
