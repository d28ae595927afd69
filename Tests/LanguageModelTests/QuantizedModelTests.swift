import Foundation
import TestSupport
import Testing
import Torch
import VirtualWidth

@testable import LanguageModel

/// Models whose matrices are whole numbers.
@Suite struct QuantizedModelTests {
  private func model(
    _ configuration: ModelConfiguration, _ scheme: QuantizationScheme?
  ) throws -> LanguageModel {
    var configuration = configuration
    configuration.quantization = scheme
    return try LanguageModel(configuration, weights: WeightStore(seed: 4, quantizing: scheme))
  }

  @Test(arguments: ModelConfiguration.variety.map(\.name), QuantizationScheme.allCases)
  func aModelComputesWithWhatItsNumbersStandFor(name: String, scheme: QuantizationScheme) throws {
    let configuration = try #require(ModelConfiguration.variety.first { $0.name == name }).configuration
    let quantized = try model(configuration, scheme)
    let tensors = try withTorch {
      quantized.weights.tensors.filter { !$0.key.hasSuffix(".weight_scale") }.map { name, tensor in
        (name, quantized.weights.matrices[name]?.floats ?? tensor)
      }
    }
    let expanded = try LanguageModel(
      configuration, weights: WeightStore(stored: Dictionary(uniqueKeysWithValues: tensors), mutable: false))
    let random = try RandomTensors(seed: 1)
    let tokens = random.tokens(2, 9, below: configuration.vocabularySize)
    let targets = random.tokens(2, 9, below: configuration.vocabularySize)
    func outputs(_ model: LanguageModel) throws -> (Tensor, [Double]) {
      try withTorch {
        try withoutGradients {
          let losses = model.losses(tokens, targets: targets, in: Pass(length: 9, configuration: configuration))
          return (model.logits(tokens), try losses.named.map { try $0.value.item() })
        }
      }
    }
    let (found, expected) = try (outputs(quantized), outputs(expanded))
    #expect(try relativeError(of: found.0, to: expected.0) < 1e-6)
    #expect(zip(found.1, expected.1).allSatisfy { abs($0 - $1) < 1e-5 })
    #expect(quantized.weights.parameterCount == expanded.weights.parameterCount)
  }

  @Test func routersNormsAndConnectionsStayAsTheyAre() throws {
    let weights = try model(.everything, .int8).weights
    let kept = weights.tensors.keys.filter { weights.matrices[$0] == nil && !$0.hasSuffix(".weight_scale") }
    #expect(
      kept.allSatisfy {
        $0.contains("norm") || $0.contains("_connection.") || $0.hasSuffix("mlp.gate.weight")
      })
    #expect(weights.matrices.values.allSatisfy { $0.scheme == .int8 })
    #expect(kept.allSatisfy { weights.tensors[$0]?.dtype == .float32 })
    for name in [
      "model.embed_tokens", "lm_head", "model.reduce", "model.mtp.1.proj", "model.mtp.0.reduce",
      "model.layers.1.self_attn.q_proj", "model.layers.0.mlp.experts.5.down_proj",
    ] { #expect(weights.matrices[name + ".weight"] != nil, "\(name)") }
  }

  @Test func theConfigurationHasToSayIt() throws {
    var configuration = ModelConfiguration.small()
    let refused = { (scheme: QuantizationScheme?) in
      message { _ = try LanguageModel(configuration, weights: WeightStore(seed: 1, quantizing: scheme)) }
    }
    #expect(
      refused(.int8) == "there is no quantization_config, but tensor 'model.embed_tokens.weight' is in int8")
    configuration.quantization = .int4
    #expect(
      refused(.int8) == "quantization_config says int4, but tensor 'model.embed_tokens.weight' is in int8")
    #expect(
      refused(nil) == "quantization_config says int4, but tensor 'model.embed_tokens.weight' is of floats")
    #expect(refused(.int4) == "no error")
  }

  /// All widths are multiples of 128 here, so that nothing is padded.
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
    // Of the embedding a token reads one row.
    let unread = 69 * 128 * (scheme?.bytesPerWeight ?? 4)
    #expect(parts.reduce(0) { $0 + $1.bytes - 4 * $1.traffic } == Double(weights.byteCount) - unread)
  }
}
