import VirtualWidth

/// A configuration that no model can be made of: one sentence that names the key, its value and what was expected.
public struct ConfigurationError: Error, CustomStringConvertible, Sendable {
  /// The sentence.
  public let description: String

  /// An error with the given sentence.
  public init(_ description: String) { self.description = description }
}

extension ModelConfiguration {
  /// Fails if no model can be made of this configuration.
  ///
  /// Sizes are bounded as well, so that products of them cannot overflow.
  public func validate() throws {
    try checkSizes()
    if let experts { try check(experts) }
    if let problem = virtualWidth?.problem(hiddenSize: hiddenSize) { throw ConfigurationError(problem) }
    if isHeadTied, let width = virtualWidth, width.embedding == .wide, width.slots != width.fractionRate {
      throw ConfigurationError(
        "tie_word_embeddings is true: expected false with a wide embedding, whose table has "
          + "\(width.width(hiddenSize: hiddenSize)) columns where the head needs \(hiddenSize)")
    }
    if let prediction = multiTokenPrediction {
      try require("multi_token_prediction.depth", prediction.depth, in: 1...64)
      guard prediction.lossWeight.isFinite, prediction.lossWeight >= 0 else {
        throw ConfigurationError(
          "multi_token_prediction.loss_weight is \(prediction.lossWeight): expected a finite number of at least 0")
      }
    }
    if let directDecoding { try check(directDecoding) }
  }

  private func checkSizes() throws {
    try require("vocab_size", vocabularySize, in: 1...16_777_216)
    try require("hidden_size", hiddenSize, in: 1...1_048_576)
    try require("num_hidden_layers", layerCount, in: 1...10_000)
    try require("num_attention_heads", headCount, in: 1...65_536)
    try require("num_key_value_heads", keyValueHeadCount, in: 1...65_536)
    try require("head_dim", headSize, in: 1...65_536)
    try require("intermediate_size", intermediateSize, in: 1...16_777_216)
    try require("max_position_embeddings", contextLength, in: 1...1_073_741_824)
    guard headCount.isMultiple(of: keyValueHeadCount) else {
      throw ConfigurationError(
        "num_key_value_heads is \(keyValueHeadCount): expected a divisor of num_attention_heads, which is \(headCount)")
    }
    guard headSize.isMultiple(of: 2) else {
      throw ConfigurationError("head_dim is \(headSize): expected an even number, as rotary positions turn pairs")
    }
    guard ropeTheta.isFinite, ropeTheta > 0 else {
      throw ConfigurationError("rope_theta is \(ropeTheta): expected a positive number")
    }
    guard normEpsilon.isFinite, normEpsilon > 0 else {
      throw ConfigurationError("rms_norm_eps is \(normEpsilon): expected a positive number")
    }
  }

  private func check(_ experts: Experts) throws {
    try require("num_experts", experts.count, in: 1...65_536)
    try require("num_experts_per_tok", experts.perToken, in: 1...experts.count)
    try require("moe_intermediate_size", experts.intermediateSize, in: 1...16_777_216)
    try require("decoder_sparse_step", experts.layerStep, in: 1...10_000)
    for layer in experts.denseLayers { try require("mlp_only_layers", layer, in: 0...(layerCount - 1)) }
    guard experts.balanceLossWeight.isFinite, experts.balanceLossWeight >= 0 else {
      throw ConfigurationError(
        "router_aux_loss_coef is \(experts.balanceLossWeight): expected a finite number of at least 0")
    }
  }

  private func check(_ split: DirectDecoding) throws {
    try require("direct_decoding.encoding_layers", split.encodingLayers, in: 0...layerCount)
    try require("direct_decoding.decoding_layers", split.decodingLayers, in: 0...layerCount)
    guard split.encodingLayers + split.decodingLayers <= layerCount else {
      throw ConfigurationError(
        "direct_decoding.encoding_layers is \(split.encodingLayers) and decoding_layers \(split.decodingLayers): "
          + "expected together at most num_hidden_layers, which is \(layerCount)")
    }
    try require("direct_decoding.cycle", split.cycle, in: 1...1024)
  }

  private func require(_ key: String, _ value: Int, in range: ClosedRange<Int>) throws {
    guard range.contains(value) else {
      throw ConfigurationError("\(key) is \(value): expected \(range.lowerBound) to \(range.upperBound)")
    }
  }
}
