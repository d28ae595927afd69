import Checkpoint
import Foundation

/// What `adapter_config.json` says of low-rank adapters, with the keys of peft.
public struct AdapterConfiguration: Hashable, Sendable {
  /// r.
  public var rank: Int
  /// α: the product of an adapter's matrices is scaled by α/r.
  public var alpha: Double
  /// The last part of the names of the modules that are adapted.
  public var targets: [String]
  /// The folder of the model that the adapters are for.
  public var base: String

  /// What the file is called.
  public static let fileName = "adapter_config.json"

  /// Adapters of rank r and weight α.
  public init(rank: Int, alpha: Double, targets: [String], base: String) {
    self.rank = rank
    self.alpha = alpha
    self.targets = targets
    self.base = base
  }

  /// α/r.
  public var scale: Double { alpha / Double(rank) }

  /// Reads the file at `url`.
  ///
  /// - Throws: `CheckpointError` naming the file and the key, for what is no plain LoRA too.
  init(_ url: URL) throws {
    guard let data = try? Data(contentsOf: url) else { throw CheckpointError(url.path, "cannot be read") }
    guard let values = try? JSONSerialization.jsonObject(with: data) as? [String: Any] else {
      throw CheckpointError(url.path, "is not a JSON object")
    }
    func require(_ isMet: Bool, _ key: String, _ expected: String) throws {
      if isMet { return }
      let value = values[key].map { "is \(Self.text($0))" } ?? "is missing"
      throw CheckpointError(url.path, "\(key) \(value): expected \(expected)")
    }
    try require(values["peft_type"] as? String == "LORA", "peft_type", "\"LORA\"")
    let rank = values["r"] as? Int ?? 0
    try require(rank >= 1, "r", "a whole number of at least 1")
    let alpha = values["lora_alpha"] as? Double ?? 0
    try require(alpha > 0 && alpha.isFinite, "lora_alpha", "a positive number")
    let base = values["base_model_name_or_path"] as? String ?? ""
    try require(!base.isEmpty, "base_model_name_or_path", "the folder of the model that the adapters are for")
    for key in Self.unsupported {
      try require(Self.isNothing(values[key]), key, "none, as plain LoRA alone is supported")
    }
    try require(["none", nil].contains(values["bias"] as? String), "bias", "\"none\"")
    self.init(rank: rank, alpha: alpha, targets: values["target_modules"] as? [String] ?? [], base: base)
  }

  /// Keys that make something else of an adapter.
  private static let unsupported = [
    "alora_invocation_tokens", "alpha_pattern", "fan_in_fan_out", "layer_replication", "lora_bias", "modules_to_save",
    "rank_pattern", "target_parameters", "trainable_token_indices", "use_bdlora", "use_dora", "use_qalora",
    "use_rslora",
  ]

  private static func isNothing(_ value: Any?) -> Bool {
    switch value {
    case nil, is NSNull: true
    case let flag as Bool: !flag
    case let list as [Any]: list.isEmpty
    case let object as [String: Any]: object.isEmpty
    default: false
    }
  }

  private static func text(_ value: Any) -> String {
    let data = try? JSONSerialization.data(withJSONObject: value, options: [.fragmentsAllowed, .sortedKeys])
    return data.map { String(decoding: $0, as: UTF8.self) } ?? "\(value)"
  }

  /// The content of the file, which peft opens.
  func json() throws -> Data {
    struct Document: Encodable {
      let configuration: AdapterConfiguration

      enum CodingKeys: String, CodingKey {
        case rank = "r"
        case alpha = "lora_alpha"
        case targets = "target_modules"
        case base = "base_model_name_or_path"
        case bias
        case dropout = "lora_dropout"
        case isInference = "inference_mode"
        case kind = "peft_type"
        case task = "task_type"
      }

      func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode("LORA", forKey: .kind)
        try values.encode("CAUSAL_LM", forKey: .task)
        try values.encode(configuration.rank, forKey: .rank)
        try values.encode(configuration.alpha, forKey: .alpha)
        try values.encode(configuration.targets, forKey: .targets)
        try values.encode(configuration.base, forKey: .base)
        try values.encode("none", forKey: .bias)
        try values.encode(0.0, forKey: .dropout)
        try values.encode(true, forKey: .isInference)
      }
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(Document(configuration: self)) + Data("\n".utf8)
  }
}
