import CheckedInput
import Checkpoint
import Foundation

/// What `adapter_config.json` says of low-rank adapters, with the keys of peft.
public struct AdapterConfiguration: Hashable, Sendable {
  /// How the adapters were initialised, where that matters afterwards: both take a part of the weight out of it and start
  /// from that part, so that only together with what is left of the weight they are what was trained.
  public enum Initialization: String, Sendable, CaseIterable {
    /// The part of rank r with the largest singular values. Source: PiSSA, arXiv 2404.02948.
    case pissa
    /// s times the first r columns of Q by the first r rows of R. Source: OLoRA, arXiv 2406.01775.
    case olora
  }

  /// r.
  public var rank: Int
  /// α: the product of an adapter's matrices is scaled by α/r.
  public var alpha: Double
  /// The last part of the names of the modules that are adapted; none where a file has a pattern in place of a list.
  public var targets: [String]
  /// The last part of the names of modules that are not adapted though `targets` has them.
  public var excluded: [String] = []
  /// The layers that are adapted; nil for all.
  public var layers: Set<Int>?
  /// The folder of the model that the adapters are for.
  public var base: String
  /// What was taken out of the weights before training; nil for nothing.
  public var initialization: Initialization?

  /// What the file is called.
  public static let fileName = "adapter_config.json"

  /// Adapters of rank r and weight α, beside weights that are as they were.
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
  /// - Throws: `CheckpointError` or `InputError` naming the file and the key, for what is no plain LoRA too.
  init(_ url: URL) throws {
    let document = try JSONValue(contentsOf: url)
    guard case .object(let values) = document else {
      throw CheckpointError(url.path, "the document is \(document.summary): expected an object")
    }
    func refusal(_ key: String, _ expected: String) -> CheckpointError {
      let found = values[key].map { "is \($0.summary)" } ?? "is missing"
      return CheckpointError(url.path, "\(printable(key)) \(found): expected \(expected)")
    }
    guard values["peft_type"] == .string("LORA") else { throw refusal("peft_type", "LORA") }
    guard case .number(let number)? = values["r"], let rank = number.integer, Limits.channels.contains(rank) else {
      throw refusal("r", "an integer \(describe(Limits.channels))")
    }
    guard case .number(let number)? = values["lora_alpha"], let alpha = number.double,
      Limits.positiveFloats.contains(alpha)
    else {
      throw refusal("lora_alpha", "a positive number that float32 holds")
    }
    guard case .string(let base)? = values["base_model_name_or_path"], !base.isEmpty else {
      throw refusal("base_model_name_or_path", "the folder of the model that the adapters are for")
    }
    for (key, value) in values where Self.unsupported.contains(key) || key.hasPrefix("use_") {
      guard Self.isNothing(value) else { throw refusal(key, "none, as plain LoRA alone is supported") }
    }
    guard [nil, .null, .string("none")].contains(values["bias"]) else { throw refusal("bias", "none") }
    self.init(rank: rank, alpha: alpha, targets: Self.texts(values["target_modules"]), base: base)
    excluded = Self.texts(values["exclude_modules"])
    switch values["layers_to_transform"] {
    case nil, .null?: break
    case .number(let number)?: layers = Set([number].compactMap(\.integer))
    case .array(let list)?: layers = Set(list.compactMap { $0.number?.integer })
    default: throw refusal("layers_to_transform", "numbers of layers")
    }
    switch values["init_lora_weights"] {
    case nil, .null?, .boolean?: break
    case .string(let name)? where Self.harmlessInitializations.contains(name.lowercased()): break
    case .string(let name)?:
      initialization = Initialization(rawValue: name.lowercased())
      if initialization == nil { fallthrough }
    default: throw refusal("init_lora_weights", Self.supportedInitializations)
    }
  }

  /// Keys that make something else of an adapter, besides those that begin with "use_".
  private static let unsupported: Set = [
    "alora_invocation_tokens", "alpha_pattern", "arrow_config", "fan_in_fan_out", "kasa_config", "layer_replication",
    "lora_bias", "modules_to_save", "monteclora_config", "rank_pattern", "target_parameters", "trainable_token_indices",
    "velora_config",
  ]

  /// Those that decide where training starts and leave the weights alone.
  private static let harmlessInitializations: Set = ["gaussian", "orthogonal", "eva", "mica"]

  /// Others (pissa_niter_N, corda, loftq, lora_ga) took something out of the weights that was drawn at random or depends
  /// on data: what was left cannot be made again from the model that the adapters name.
  private static let supportedInitializations =
    "true, false, gaussian, orthogonal, eva, mica, pissa or olora; of others the weights that the adapters were trained "
    + "beside cannot be made again, see peft's path_initial_model_for_weight_conversion"

  private static func isNothing(_ value: JSONValue) -> Bool {
    switch value {
    case .null, .boolean(false): true
    case .array(let list): list.isEmpty
    case .object(let object): object.count == 0
    default: false
    }
  }

  /// The texts of a list; none for what is no list.
  private static func texts(_ value: JSONValue?) -> [String] {
    guard case .array(let list)? = value else { return [] }
    return list.compactMap { element in
      if case .string(let text) = element { text } else { nil }
    }
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
