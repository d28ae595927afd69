import WidebandCheckedInput
import WidebandVirtualWidth

/// A configuration that no model can be built from. The description is one sentence that names the key, its value and
/// what was expected.
public enum ConfigurationError: Error, CustomStringConvertible, Sendable {
  /// A value is out of bounds or contradicts another one. The payload is the sentence.
  case invalid(String)
  /// An architecture or feature that this library does not support; another one may. The payload is the sentence.
  case unsupported(String)
  /// The weights are not quantized as the configuration says. The payload is the sentence.
  case quantizationMismatch(String)
  /// The model has no layer split, so it cannot be decoded directly; ordinary decoding can.
  case missingSplit

  /// The sentence.
  public var description: String {
    switch self {
    case .invalid(let sentence), .unsupported(let sentence), .quantizationMismatch(let sentence): sentence
    case .missingSplit: "direct_decoding is missing: expected encoding_layers, decoding_layers, cycle and gate"
    }
  }
}

extension ModelConfiguration.DirectDecoding {
  /// Whether a model of `layerCount` layers can be split this way: neither group is negative, and together they have at
  /// most all layers.
  public func fits(layerCount: Int) -> Bool {
    let range = 0...max(0, layerCount)
    return range.contains(encodingLayers) && range.contains(decodingLayers)
      && encodingLayers + decodingLayers <= layerCount
  }
}

extension ModelConfiguration {
  /// Checks that a model can be built from this configuration.
  ///
  /// Each size and the number of weights are bounded, so that products of sizes cannot overflow.
  ///
  /// - Throws: `ConfigurationError.invalid`.
  public func validate() throws {
    try checkSizes()
    if let experts { try check(experts) }
    if let problem = virtualWidth?.problem(hiddenSize: hiddenSize) { throw ConfigurationError.invalid(problem) }
    if let problem = ngramMemory?.problem(vocabularySize: vocabularySize, width: virtualWidth) {
      throw ConfigurationError.invalid(problem)
    }
    if isHeadTied, let width = virtualWidth, width.embedding == .wide {
      try require(
        width.slots == width.fractionRate,
        "tie_word_embeddings is true: expected false with a wide embedding, whose table has "
          + "\(width.width(hiddenSize: hiddenSize)) columns where the head needs \(hiddenSize)")
    }
    if let prediction = multiTokenPrediction {
      try require("multi_token_prediction.depth", prediction.depth, in: Limits.depths)
      try requireLossWeight("multi_token_prediction.loss_weight", prediction.lossWeight)
    }
    if let directDecoding { try check(directDecoding) }
    let cost = ModelCost(self, contextLength: 1)
    try require(
      cost.parameters <= Self.maximumParameters,
      "the sizes make a model of more than \(Self.maximumParameters) weights, the most of them in the part "
        + "'\(cost.parts.max { $0.parameters < $1.parameters }?.name ?? "")': expected fewer")
  }

  /// 2^50: a thousand times the largest existing models, and small enough for byte counts in 63 bits.
  private static let maximumParameters = 1 << 50

  /// All sizes, with their keys in `config.json` and their bounds.
  var sizes: [(key: CodingKeys, value: Int, bounds: ClosedRange<Int>)] {
    [
      (.vocabularySize, vocabularySize, Limits.vocabulary), (.hiddenSize, hiddenSize, Limits.channels),
      (.layerCount, layerCount, Limits.layers), (.headCount, headCount, Limits.heads),
      (.keyValueHeadCount, keyValueHeadCount, Limits.heads), (.headSize, headSize, Limits.heads),
      (.intermediateSize, intermediateSize, Limits.intermediateChannels),
      (.contextLength, contextLength, Limits.tokens),
    ]
  }

  private func checkSizes() throws {
    for size in sizes { try require(size.key.rawValue, size.value, in: size.bounds) }
    try require(
      headCount.isMultiple(of: keyValueHeadCount),
      "num_key_value_heads is \(keyValueHeadCount): expected a divisor of num_attention_heads, which is \(headCount)")
    try require(
      headSize.isMultiple(of: 2), "head_dim is \(headSize): expected an even number, as rotary positions rotate pairs")
    // Both are used in float32: a value that rounds to zero or infinity would make every output NaN, or all equal.
    try require("rope_theta", ropeTheta, in: 1...1e30)
    try require("rms_norm_eps", normEpsilon, in: 1e-30...1)
    if let id = endOfTextTokens.first(where: { $0 < 0 || $0 >= vocabularySize }) { throw invalidEndOfText(id) }
  }

  /// The error for an end-of-text token that is not in the vocabulary.
  func invalidEndOfText(_ id: some FixedWidthInteger) -> ConfigurationError {
    .invalid(
      "eos_token_id is \(id): expected the id of a token, from 0 to \(vocabularySize - 1), as vocab_size is "
        + "\(vocabularySize)")
  }

  private func check(_ experts: Experts) throws {
    try require("num_experts", experts.count, in: Limits.heads)
    try require("num_experts_per_tok", experts.perToken, in: 1...experts.count)
    try require("moe_intermediate_size", experts.intermediateSize, in: Limits.intermediateChannels)
    try require("decoder_sparse_step", experts.layerStep, in: Limits.layers)
    try require(
      experts.denseLayers.count <= layerCount,
      "mlp_only_layers has \(experts.denseLayers.count) layers: expected at most num_hidden_layers, which is \(layerCount)"
    )
    for layer in experts.denseLayers { try require("mlp_only_layers", layer, in: 0...(layerCount - 1)) }
    try requireLossWeight("router_aux_loss_coef", experts.balanceLossWeight)
  }

  private func check(_ split: DirectDecoding) throws {
    try require("direct_decoding.encoding_layers", split.encodingLayers, in: 0...layerCount)
    try require("direct_decoding.decoding_layers", split.decodingLayers, in: 0...layerCount)
    try require(
      split.fits(layerCount: layerCount),
      "direct_decoding.encoding_layers is \(split.encodingLayers) and decoding_layers \(split.decodingLayers): "
        + "expected together at most num_hidden_layers, which is \(layerCount)")
    try require("direct_decoding.cycle", split.cycle, in: Limits.cycle)
  }

  private func require(_ isMet: Bool, _ sentence: @autoclosure () -> String) throws {
    if !isMet { throw ConfigurationError.invalid(sentence()) }
  }

  private func require(_ key: String, _ value: Int, in range: ClosedRange<Int>) throws {
    try require(range.contains(value), "\(key) is \(value): expected an integer \(describe(range))")
  }

  private func require(_ key: String, _ value: Double, in range: ClosedRange<Double>) throws {
    try require(
      range.contains(value), "\(key) is \(value): expected a number from \(range.lowerBound) to \(range.upperBound)")
  }

  private func requireLossWeight(_ key: String, _ value: Double) throws {
    try require(value.isFinite && value >= 0, "\(key) is \(value): expected a finite number of at least 0")
  }
}
