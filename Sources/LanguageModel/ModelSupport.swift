import CheckedInput
import Torch
import VirtualWidth

/// What of a `config.json` is not supported, refused by name rather than computed nearly right; and what its kind of
/// file means by the keys that it leaves out.
struct ModelSupport {
  /// The base of the rotary frequencies, wherever the file has it.
  let ropeTheta: Double?

  private let type: String

  private typealias Values = KeyedDecodingContainer<ModelConfiguration.CodingKeys>

  /// - Throws: `ConfigurationError` with the key, its value and what was expected.
  init(_ values: KeyedDecodingContainer<ModelConfiguration.CodingKeys>) throws {
    type = try Self.type(values)
    if let activation = try values.decodeIfPresent(String.self, forKey: .activation), activation != "silu" {
      throw ConfigurationError("hidden_act is \(quoted(activation)): expected silu")
    }
    if try values.decodeIfPresent(Bool.self, forKey: .attentionBias) == true {
      throw ConfigurationError("attention_bias is true: expected false, the only form supported")
    }
    try Self.refuseSlidingWindow(values, type)
    let newer = try values.decodeIfPresent(RopeParameters.self, forKey: .ropeParameters)
    let older = try values.decodeIfPresent(RopeParameters.self, forKey: .ropeScaling)
    try newer?.requireDefault(key: "rope_parameters")
    try older?.requireDefault(key: "rope_scaling")
    ropeTheta = try newer?.theta ?? values.decodeIfPresent(Double.self, forKey: .ropeTheta) ?? older?.theta
  }

  /// Channels of a head where the file does not say; nil for D over the heads.
  var headSize: Int? { type == "qwen3" ? 128 : nil }

  /// The longest context where the file does not say.
  var contextLength: Int? { type == "wideband" ? nil : 32_768 }

  /// Whether the weights of chosen experts are scaled to sum to one where the file does not say.
  var isRenormalized: Bool { type != "qwen3_moe" }

  private static func type(_ values: Values) throws -> String {
    let type = try values.decodeIfPresent(String.self, forKey: .modelType) ?? "wideband"
    guard ["qwen3", "qwen3_moe", "wideband"].contains(type) else {
      throw ConfigurationError("model_type is \(quoted(type)): expected qwen3, qwen3_moe or wideband")
    }
    // Those without a head have the same weights and no head of their own.
    let known = ["Qwen3ForCausalLM", "Qwen3MoeForCausalLM", "WidebandForCausalLM", "Qwen3Model", "Qwen3MoeModel"]
    let architectures = try values.decodeIfPresent([String].self, forKey: .architectures) ?? []
    if let other = architectures.first(where: { !known.contains($0) }) {
      throw ConfigurationError(
        "architectures has \(quoted(other)): expected Qwen3ForCausalLM, Qwen3MoeForCausalLM or WidebandForCausalLM")
    }
    return type
  }

  /// A window is a setting of many files and in effect in few: only layers that would use it are refused.
  private static func refuseSlidingWindow(_ values: Values, _ type: String) throws {
    let kinds = try values.decodeIfPresent([String].self, forKey: .layerTypes)
    if let layer = kinds?.firstIndex(where: { $0 != "full_attention" }), let kind = kinds?[layer] {
      throw ConfigurationError(
        "layer_types[\(layer)] is \(quoted(kind)): expected full_attention, the only kind supported")
    }
    if let kinds, let layers = try values.decodeIfPresent(Int.self, forKey: .layerCount), kinds.count != layers {
      throw ConfigurationError(
        "layer_types has \(kinds.count) layers: expected as many as num_hidden_layers, which is \(layers)")
    }
    guard kinds == nil, try values.decodeIfPresent(Bool.self, forKey: .usesSlidingWindow) == true else { return }
    if values.contains(.slidingWindow), try values.decodeNil(forKey: .slidingWindow) { return }
    let layers = try values.decodeIfPresent(Int.self, forKey: .layerCount) ?? 0
    // Qwen3-MoE has no max_window_layers: there, a window is that of every layer.
    let first = type == "qwen3" ? try values.decodeIfPresent(Int.self, forKey: .firstSlidingLayer) ?? 28 : 0
    guard first < layers else { return }
    throw ConfigurationError(
      "use_sliding_window is true, from layer \(first) of \(layers) on: expected full attention in every layer")
  }
}

/// The rotary settings of a file; only the ordinary kind is supported.
private struct RopeParameters: Decodable {
  let theta: Double?
  private let type: String?
  private let partialFactor: Double?
  /// A kind of layer that has settings of its own.
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
      ?? values.decodeIfPresent(String.self, forKey: Key("type"))
    partialFactor = try values.decodeIfPresent(Double.self, forKey: Key("partial_rotary_factor"))
    layerKind = values.allKeys.map(\.stringValue).filter { $0.hasSuffix("_attention") }.min()
  }

  func requireDefault(key: String) throws {
    if let type, type != "default" {
      throw ConfigurationError("\(key).rope_type is \(quoted(type)): expected default, the only kind supported")
    }
    if let partialFactor, partialFactor != 1 {
      throw ConfigurationError("\(key).partial_rotary_factor is \(partialFactor): expected 1, the only one supported")
    }
    if let layerKind {
      throw ConfigurationError("\(key).\(printable(layerKind)) is present: expected one rope_theta for all layers")
    }
  }
}

/// `quantization_config` as this library writes it. Weights that other tools quantised are refused by name.
struct QuantizationDescription: Codable {
  let scheme: QuantizationScheme

  private enum Key: String, CodingKey {
    case method = "quant_method"
    case scheme
    case groupSize = "group_size"
  }

  init(_ scheme: QuantizationScheme) { self.scheme = scheme }

  init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    let method = try values.decodeIfPresent(String.self, forKey: .method)
    guard method == "wideband" else {
      let found = method.map { "is \(quoted($0))" } ?? "is missing"
      throw ConfigurationError("quantization_config.quant_method \(found): expected wideband, the only one supported")
    }
    let size = try values.decodeIfPresent(Int.self, forKey: .groupSize) ?? QuantizationScheme.groupSize
    guard size == QuantizationScheme.groupSize else {
      throw ConfigurationError(
        "quantization_config.group_size is \(size): expected \(QuantizationScheme.groupSize), the only one supported")
    }
    scheme = try values.decode(QuantizationScheme.self, forKey: .scheme)
  }

  func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    try values.encode("wideband", forKey: .method)
    try values.encode(scheme, forKey: .scheme)
    try values.encode(QuantizationScheme.groupSize, forKey: .groupSize)
  }
}
