import WidebandCheckedInput
import WidebandTorch
import WidebandVirtualWidth

/// Rejects the features of a `config.json` that are not supported, and has the defaults of the keys that it omits.
struct ModelSupport {
  /// The base of the rotary frequencies, from any of its keys.
  let ropeTheta: Double?

  private let type: String

  private typealias Values = KeyedDecodingContainer<ModelConfiguration.CodingKeys>

  /// - Throws: `ConfigurationError.unsupported` with the key, its value and the expected values.
  init(_ values: KeyedDecodingContainer<ModelConfiguration.CodingKeys>) throws {
    type = try Self.type(values)
    let activation = try values.decodeIfPresent(String.self, forKey: .activation) ?? "silu"
    try support(activation == "silu", "hidden_act is \(quoted(activation)): expected silu")
    try support(
      values.decodeIfPresent(Bool.self, forKey: .attentionBias) != true,
      "attention_bias is true: expected false, the only form supported")
    try Self.refuseSlidingWindow(values, type)
    let newer = try values.decodeIfPresent(RopeParameters.self, forKey: .ropeParameters)
    let older = try values.decodeIfPresent(RopeParameters.self, forKey: .ropeScaling)
    try newer?.requireDefault(key: "rope_parameters")
    try older?.requireDefault(key: "rope_scaling")
    ropeTheta = try newer?.theta ?? values.decodeIfPresent(Double.self, forKey: .ropeTheta) ?? older?.theta
  }

  /// The default of `head_dim`; nil for D / H.
  var headSize: Int? { type == "qwen3" ? 128 : nil }

  /// The default of `max_position_embeddings`.
  var contextLength: Int? { type == "wideband" ? nil : 32_768 }

  /// The default of `norm_topk_prob`.
  var isRenormalized: Bool { type != "qwen3_moe" }

  private static func type(_ values: Values) throws -> String {
    let type = try values.decodeIfPresent(String.self, forKey: .modelType) ?? "wideband"
    try support(
      ["qwen3", "qwen3_moe", "wideband"].contains(type),
      "model_type is \(quoted(type)): expected qwen3, qwen3_moe or wideband")
    // The classes without a head have the same weights but for the head.
    let known = ["Qwen3ForCausalLM", "Qwen3MoeForCausalLM", "WidebandForCausalLM", "Qwen3Model", "Qwen3MoeModel"]
    for architecture in try values.decodeIfPresent([String].self, forKey: .architectures) ?? [] {
      try support(
        known.contains(architecture),
        "architectures has \(quoted(architecture)): expected Qwen3ForCausalLM, Qwen3MoeForCausalLM or WidebandForCausalLM"
      )
    }
    return type
  }

  /// Rejects a sliding window only if a layer uses it: many files set a window that is not in effect.
  private static func refuseSlidingWindow(_ values: Values, _ type: String) throws {
    let kinds = try values.decodeIfPresent([String].self, forKey: .layerTypes)
    for (layer, kind) in (kinds ?? []).enumerated() {
      try support(
        kind == "full_attention",
        "layer_types[\(layer)] is \(quoted(kind)): expected full_attention, the only kind supported")
    }
    if let kinds, let layers = try values.decodeIfPresent(Int.self, forKey: .layerCount) {
      try support(
        kinds.count == layers,
        "layer_types has \(kinds.count) layers: expected as many as num_hidden_layers, which is \(layers)")
    }
    guard kinds == nil, try values.decodeIfPresent(Bool.self, forKey: .usesSlidingWindow) == true else { return }
    if values.contains(.slidingWindow), try values.decodeNil(forKey: .slidingWindow) { return }
    let layers = try values.decodeIfPresent(Int.self, forKey: .layerCount) ?? 0
    // Qwen3-MoE has no max_window_layers: its window applies to every layer.
    let first = type == "qwen3" ? try values.decodeIfPresent(Int.self, forKey: .firstSlidingLayer) ?? 28 : 0
    try support(
      first >= layers,
      "use_sliding_window is true, from layer \(first) of \(layers) on: expected full attention in every layer")
  }
}

private func support(_ isSupported: Bool, _ sentence: @autoclosure () -> String) throws {
  if !isSupported { throw ConfigurationError.unsupported(sentence()) }
}

/// The rotary settings of a file; only the default kind is supported.
private struct RopeParameters: Decodable {
  let theta: Double?
  private let type: String
  private let partialFactor: Double
  /// The key of settings for one kind of layer alone.
  private let layerKind: String?

  private struct Key: CodingKey {
    let stringValue: String
    let intValue: Int? = nil
    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { nil }
  }

  init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    theta = try values.decodeIfPresent(Double.self, forKey: Key("rope_theta"))
    type =
      try values.decodeIfPresent(String.self, forKey: Key("rope_type"))
      ?? values.decodeIfPresent(String.self, forKey: Key("type")) ?? "default"
    partialFactor = try values.decodeIfPresent(Double.self, forKey: Key("partial_rotary_factor")) ?? 1
    layerKind = values.allKeys.map(\.stringValue).filter { $0.hasSuffix("_attention") }.min()
  }

  func requireDefault(key: String) throws {
    try support(
      type == "default", "\(key).rope_type is \(quoted(type)): expected default, the only kind supported")
    try support(
      partialFactor == 1, "\(key).partial_rotary_factor is \(partialFactor): expected 1, the only one supported")
    try support(
      layerKind == nil, "\(key).\(printable(layerKind ?? "")) is present: expected one rope_theta for all layers")
  }
}

/// `quantization_config` as this library writes it. Weights that other tools quantized are rejected.
struct QuantizationDescription: Codable {
  let scheme: QuantizationScheme
  private var method = "wideband"
  private var groupSize = QuantizationScheme.groupSize

  private enum CodingKeys: String, CodingKey {
    case method = "quant_method"
    case scheme
    case groupSize = "group_size"
  }

  init(_ scheme: QuantizationScheme) { self.scheme = scheme }

  init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    let method = try values.decodeIfPresent(String.self, forKey: .method)
    try support(
      method == "wideband",
      "quantization_config.quant_method \(method.map { "is \(quoted($0))" } ?? "is missing"): expected wideband, the only "
        + "one supported")
    let size = try values.decodeIfPresent(Int.self, forKey: .groupSize) ?? QuantizationScheme.groupSize
    try support(
      size == QuantizationScheme.groupSize,
      "quantization_config.group_size is \(size): expected \(QuantizationScheme.groupSize), the only one supported")
    scheme = try values.decode(QuantizationScheme.self, forKey: .scheme)
  }
}
