import WidebandCheckedInput
import WidebandVirtualWidth

extension ModelConfiguration: Codable {
  /// The keys of `config.json` that this library reads. A file may contain others.
  public enum CodingKeys: String, CodingKey, CaseIterable {
    case modelType = "model_type"
    case architectures
    case vocabularySize = "vocab_size"
    case hiddenSize = "hidden_size"
    case layerCount = "num_hidden_layers"
    case headCount = "num_attention_heads"
    case keyValueHeadCount = "num_key_value_heads"
    case headSize = "head_dim"
    case intermediateSize = "intermediate_size"
    case ropeTheta = "rope_theta"
    case ropeParameters = "rope_parameters"
    case ropeScaling = "rope_scaling"
    case normEpsilon = "rms_norm_eps"
    case contextLength = "max_position_embeddings"
    case isHeadTied = "tie_word_embeddings"
    case endOfTextTokens = "eos_token_id"
    case activation = "hidden_act"
    case attentionBias = "attention_bias"
    case usesSlidingWindow = "use_sliding_window"
    case slidingWindow = "sliding_window"
    case firstSlidingLayer = "max_window_layers"
    case layerTypes = "layer_types"
    case quantization = "quantization_config"
    case dtype
    case olderDType = "torch_dtype"
    case expertCount = "num_experts"
    case newerExpertCount = "num_local_experts"
    case expertsPerToken = "num_experts_per_tok"
    case expertIntermediateSize = "moe_intermediate_size"
    case isRenormalized = "norm_topk_prob"
    case balanceLossWeight = "router_aux_loss_coef"
    case expertLayerStep = "decoder_sparse_step"
    case denseLayers = "mlp_only_layers"
    case virtualWidth = "virtual_width"
    case ngramMemory = "ngram_memory"
    case multiTokenPrediction = "multi_token_prediction"
    case directDecoding = "direct_decoding"
  }

  /// Reads Qwen3's keys, in the spelling of older and of newer files, and the keys of this library.
  ///
  /// Keys that a Qwen3 file omits have the defaults of transformers.
  ///
  /// - Throws: `ConfigurationError.unsupported` for an architecture or a feature that is not supported.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    let support = try ModelSupport(values)
    let hiddenSize = try values.decode(Int.self, forKey: .hiddenSize)
    let headCount = try values.decode(Int.self, forKey: .headCount)
    try self.init(
      vocabularySize: values.decode(Int.self, forKey: .vocabularySize), hiddenSize: hiddenSize,
      layerCount: values.decode(Int.self, forKey: .layerCount), headCount: headCount,
      headSize: values.decodeIfPresent(Int.self, forKey: .headSize) ?? support.headSize,
      intermediateSize: values.decode(Int.self, forKey: .intermediateSize))
    keyValueHeadCount = try values.decodeIfPresent(Int.self, forKey: .keyValueHeadCount) ?? headCount
    ropeTheta = support.ropeTheta ?? ropeTheta
    normEpsilon = try values.decodeIfPresent(Double.self, forKey: .normEpsilon) ?? normEpsilon
    contextLength =
      try values.decodeIfPresent(Int.self, forKey: .contextLength) ?? support.contextLength ?? contextLength
    isHeadTied = try values.decodeIfPresent(Bool.self, forKey: .isHeadTied) ?? isHeadTied
    let endOfText = try values.decodeIfPresent(OneOrMany<Int>.self, forKey: .endOfTextTokens)?.values ?? []
    endOfTextTokens = try endOfText.map { id in
      guard let token = TokenID(exactly: id) else { throw invalidEndOfText(id) }
      return token
    }
    experts = try Self.experts(values, isRenormalized: support.isRenormalized)
    virtualWidth = try values.decodeIfPresent(VirtualWidth.self, forKey: .virtualWidth)
    ngramMemory = try values.decodeIfPresent(NGramMemory.self, forKey: .ngramMemory)
    multiTokenPrediction = try values.decodeIfPresent(MultiTokenPrediction.self, forKey: .multiTokenPrediction)
    directDecoding = try values.decodeIfPresent(DirectDecoding.self, forKey: .directDecoding)
    quantization = try values.decodeIfPresent(QuantizationDescription.self, forKey: .quantization)?.scheme
  }

  /// Writes the keys of Qwen3's files, so that other tools can load a plain model's folder.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(modelType, forKey: .modelType)
    try values.encode([architecture], forKey: .architectures)
    for size in sizes { try values.encode(size.value, forKey: size.key) }
    try values.encode(ropeTheta, forKey: .ropeTheta)
    try values.encode(normEpsilon, forKey: .normEpsilon)
    try values.encode(isHeadTied, forKey: .isHeadTied)
    try values.encode("silu", forKey: .activation)
    try values.encode(false, forKey: .attentionBias)
    if !endOfTextTokens.isEmpty { try values.encode(OneOrMany(values: endOfTextTokens), forKey: .endOfTextTokens) }
    if let experts { try Self.encode(experts, in: &values) }
    try values.encodeIfPresent(virtualWidth, forKey: .virtualWidth)
    try values.encodeIfPresent(ngramMemory, forKey: .ngramMemory)
    try values.encodeIfPresent(multiTokenPrediction, forKey: .multiTokenPrediction)
    try values.encodeIfPresent(directDecoding, forKey: .directDecoding)
    try values.encodeIfPresent(quantization.map(QuantizationDescription.init), forKey: .quantization)
  }

  private var architecture: String {
    switch modelType {
    case "qwen3": "Qwen3ForCausalLM"
    case "qwen3_moe": "Qwen3MoeForCausalLM"
    default: "WidebandForCausalLM"
    }
  }

  private static func experts(
    _ values: KeyedDecodingContainer<CodingKeys>, isRenormalized: Bool
  ) throws -> Experts? {
    let newerCount = try values.decodeIfPresent(Int.self, forKey: .newerExpertCount)
    // Files of dense models may have 0 experts.
    guard let count = try values.decodeIfPresent(Int.self, forKey: .expertCount) ?? newerCount, count != 0 else {
      return nil
    }
    // `validate` rejects a negative count; the other keys may be missing.
    guard count > 0 else { return Experts(count: count, perToken: 1, intermediateSize: 1) }
    return try Experts(
      count: count, perToken: values.decode(Int.self, forKey: .expertsPerToken),
      intermediateSize: values.decode(Int.self, forKey: .expertIntermediateSize),
      isRenormalized: values.decodeIfPresent(Bool.self, forKey: .isRenormalized) ?? isRenormalized,
      balanceLossWeight: values.decodeIfPresent(Double.self, forKey: .balanceLossWeight)
        ?? Experts.defaultBalanceLossWeight,
      layerStep: values.decodeIfPresent(Int.self, forKey: .expertLayerStep) ?? 1,
      denseLayers: values.decodeIfPresent([Int].self, forKey: .denseLayers) ?? [])
  }

  private static func encode(_ experts: Experts, in values: inout KeyedEncodingContainer<CodingKeys>) throws {
    try values.encode(experts.count, forKey: .expertCount)
    try values.encode(experts.perToken, forKey: .expertsPerToken)
    try values.encode(experts.intermediateSize, forKey: .expertIntermediateSize)
    try values.encode(experts.isRenormalized, forKey: .isRenormalized)
    try values.encode(experts.balanceLossWeight, forKey: .balanceLossWeight)
    try values.encode(experts.layerStep, forKey: .expertLayerStep)
    try values.encode(experts.denseLayers, forKey: .denseLayers)
  }
}

/// An integer or a list of integers: the value of `eos_token_id`.
package struct OneOrMany<Integer: FixedWidthInteger & Codable>: Codable {
  package let values: [Integer]

  package init(values: [Integer]) { self.values = values }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      values = []
    } else if (try? decoder.unkeyedContainer()) != nil {
      values = try container.decode([Integer].self)
    } else {
      values = [try container.decode(Integer.self)]
    }
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    if values.count == 1 { try container.encode(values[0]) } else { try container.encode(values) }
  }
}
