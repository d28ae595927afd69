import TestSupport
import Testing
import WidebandTorch
import WidebandVirtualWidth

@testable import WidebandLanguageModel

/// A change that makes a configuration invalid, and its error message.
struct BadConfiguration: Sendable, CustomTestStringConvertible {
  let message: String
  let change: @Sendable (inout ModelConfiguration) -> Void

  init(_ message: String, _ change: @escaping @Sendable (inout ModelConfiguration) -> Void) {
    self.message = message
    self.change = change
  }

  var testDescription: String { message }

  static let sizes: [BadConfiguration] = [
    .init("vocab_size is 0: expected an integer from 1 to 16777216") { $0.vocabularySize = 0 },
    .init("vocab_size is 9223372036854775807: expected an integer from 1 to 16777216") { $0.vocabularySize = .max },
    .init("hidden_size is 0: expected an integer from 1 to 1048576") { $0.hiddenSize = 0 },
    .init("hidden_size is -48: expected an integer from 1 to 1048576") { $0.hiddenSize = -48 },
    .init("num_hidden_layers is 0: expected an integer from 1 to 10000") { $0.layerCount = 0 },
    .init("num_attention_heads is 0: expected an integer from 1 to 65536") { $0.headCount = 0 },
    .init("num_key_value_heads is 0: expected an integer from 1 to 65536") { $0.keyValueHeadCount = 0 },
    .init("num_key_value_heads is 3: expected a divisor of num_attention_heads, which is 4") {
      $0.keyValueHeadCount = 3
    },
    .init("num_key_value_heads is 8: expected a divisor of num_attention_heads, which is 4") {
      $0.keyValueHeadCount = 8
    },
    .init("head_dim is 0: expected an integer from 1 to 65536") { $0.headSize = 0 },
    .init("head_dim is 7: expected an even number, as rotary positions rotate pairs") { $0.headSize = 7 },
    .init("intermediate_size is 0: expected an integer from 1 to 16777216") { $0.intermediateSize = 0 },
    .init("max_position_embeddings is 0: expected an integer from 1 to 1073741824") { $0.contextLength = 0 },
    .init("rope_theta is 0.0: expected a number from 1.0 to 1e+30") { $0.ropeTheta = 0 },
    .init("rope_theta is inf: expected a number from 1.0 to 1e+30") { $0.ropeTheta = .infinity },
    .init("rms_norm_eps is -1e-06: expected a number from 1e-30 to 1.0") { $0.normEpsilon = -1e-6 },
    .init("rms_norm_eps is nan: expected a number from 1e-30 to 1.0") { $0.normEpsilon = .nan },
    .init("rms_norm_eps is 1e+39: expected a number from 1e-30 to 1.0") { $0.normEpsilon = 1e39 },
    .init("rms_norm_eps is 1e-300: expected a number from 1e-30 to 1.0") { $0.normEpsilon = 1e-300 },
    .init("rope_theta is 1e+300: expected a number from 1.0 to 1e+30") { $0.ropeTheta = 1e300 },
    .init("eos_token_id is -1: expected the id of a token, from 0 to 60, as vocab_size is 61") {
      $0.endOfTextTokens = [3, -1]
    },
    .init("eos_token_id is 61: expected the id of a token, from 0 to 60, as vocab_size is 61") {
      $0.endOfTextTokens = [60, 61]
    },
    .init(
      "the sizes make a model of more than 1125899906842624 weights, the most of them in the part 'attention': "
        + "expected fewer"
    ) {
      ($0.hiddenSize, $0.layerCount, $0.headCount, $0.keyValueHeadCount) = (1 << 20, 10_000, 1 << 16, 1)
      $0.headSize = 1 << 16
    },
    .init(
      "the sizes make a model of more than 1125899906842624 weights, the most of them in the part 'feed-forward': "
        + "expected fewer"
    ) {
      ($0.layerCount, $0.hiddenSize) = (10_000, 1 << 20)
      $0.experts = .init(count: 1 << 16, perToken: 1 << 16, intermediateSize: 1 << 24)
    },
  ]

  private static func experts(
    _ message: String, _ change: @escaping @Sendable (inout ModelConfiguration.Experts) -> Void
  ) -> BadConfiguration {
    .init(message) {
      var experts = ModelConfiguration.Experts(count: 4, perToken: 2, intermediateSize: 16)
      change(&experts)
      $0.experts = experts
    }
  }

  static let expertsOfAllKinds: [BadConfiguration] = [
    experts("num_experts is 0: expected an integer from 1 to 65536") { $0.count = 0 },
    experts("num_experts_per_tok is 5: expected an integer from 1 to 4") { $0.perToken = 5 },
    experts("num_experts_per_tok is 0: expected an integer from 1 to 4") { $0.perToken = 0 },
    experts("moe_intermediate_size is 0: expected an integer from 1 to 16777216") { $0.intermediateSize = 0 },
    experts("decoder_sparse_step is 0: expected an integer from 1 to 10000") { $0.layerStep = 0 },
    experts("mlp_only_layers has 3 layers: expected at most num_hidden_layers, which is 2") {
      $0.denseLayers = [0, 1, 1]
    },
    experts("mlp_only_layers is 2: expected an integer from 0 to 1") { $0.denseLayers = [0, 2] },
    experts("router_aux_loss_coef is -0.1: expected a finite number of at least 0") { $0.balanceLossWeight = -0.1 },
    experts("router_aux_loss_coef is nan: expected a finite number of at least 0") { $0.balanceLossWeight = .nan },
  ]

  static let others: [BadConfiguration] = [
    .init("virtual_width.slots is 3: expected at least fraction_rate, which is 4") {
      $0.virtualWidth = VirtualWidth(fractionRate: 4, slots: 3)
    },
    .init("virtual_width.fraction_rate is 5: expected a divisor of hidden_size, which is 48") {
      $0.virtualWidth = VirtualWidth(fractionRate: 5, slots: 7)
    },
    .init("virtual_width.fraction_rate is 0: expected at least 1") {
      $0.virtualWidth = VirtualWidth(fractionRate: 0, slots: 7)
    },
    .init(
      "tie_word_embeddings is true: expected false with a wide embedding, whose table has 72 columns where the head "
        + "needs 48"
    ) {
      $0.isHeadTied = true
      $0.virtualWidth = VirtualWidth(fractionRate: 2, slots: 3, embedding: .wide)
    },
    .init("multi_token_prediction.depth is 0: expected an integer from 1 to 64") {
      $0.multiTokenPrediction = .init(depth: 0)
    },
    .init("multi_token_prediction.depth is 65: expected an integer from 1 to 64") {
      $0.multiTokenPrediction = .init(depth: 65)
    },
    .init("multi_token_prediction.loss_weight is -1.0: expected a finite number of at least 0") {
      $0.multiTokenPrediction = .init(depth: 1, lossWeight: -1)
    },
    .init("multi_token_prediction.loss_weight is inf: expected a finite number of at least 0") {
      $0.multiTokenPrediction = .init(depth: 1, lossWeight: .infinity)
    },
    .init("direct_decoding.encoding_layers is 3: expected an integer from 0 to 2") {
      $0.directDecoding = .init(encodingLayers: 3, decodingLayers: 0, cycle: 2, gate: .add)
    },
    .init("direct_decoding.decoding_layers is 3: expected an integer from 0 to 2") {
      $0.directDecoding = .init(encodingLayers: 0, decodingLayers: 3, cycle: 2, gate: .add)
    },
    .init(
      "direct_decoding.encoding_layers is 1 and decoding_layers 2: expected together at most num_hidden_layers, "
        + "which is 2"
    ) {
      $0.directDecoding = .init(encodingLayers: 1, decodingLayers: 2, cycle: 2, gate: .add)
    },
    .init("direct_decoding.cycle is 0: expected an integer from 1 to 1024") {
      $0.directDecoding = .init(encodingLayers: 1, decodingLayers: 1, cycle: 0, gate: .add)
    },
  ]
}

@Suite struct ConfigurationValidationTests {
  @Test(arguments: BadConfiguration.sizes + BadConfiguration.expertsOfAllKinds + BadConfiguration.others)
  func configuration_invalid_isRejected(bad: BadConfiguration) throws {
    let configuration = ModelConfiguration.small(bad.change)
    let error = #expect(throws: ConfigurationError.self) { try configuration.validate() }
    #expect(error?.description == bad.message)
    let store = WeightStore(seed: 1)
    #expect(message { _ = try LanguageModel(configuration, weights: store) } == bad.message)
    #expect(store.tensors.isEmpty, "rejected before any weight is initialized")
  }

  @Test func possibleModelsPass() throws {
    for (_, configuration) in ModelConfiguration.variety { try configuration.validate() }
    try ModelConfiguration.small {
      $0.isHeadTied = true
      $0.virtualWidth = VirtualWidth(fractionRate: 4, slots: 4, embedding: .wide)
    }.validate()
    try ModelConfiguration.small {
      $0.directDecoding = .init(encodingLayers: 0, decodingLayers: 2, cycle: 1, gate: .select)
    }.validate()
  }
}
