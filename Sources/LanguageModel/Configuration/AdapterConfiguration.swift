import Foundation
import WidebandCheckedInput
import WidebandCheckpoint

/// The configuration of LoRA adapters: the content of peft's `adapter_config.json`.
public struct AdapterConfiguration: Hashable, Sendable {
  /// An initialization that changes the weight: it subtracts a part of rank r from the weight and starts the adapters
  /// from that part.
  public enum Initialization: String, Sendable, CaseIterable {
    /// The part of rank r with the largest singular values. Source: PiSSA, arXiv 2404.02948.
    case pissa
    /// s times the first r columns of Q by the first r rows of R. Source: OLoRA, arXiv 2406.01775.
    case olora
  }

  /// r: the rank of the adapters.
  public var rank: Int
  /// α: the product B A is scaled by α/r.
  public var alpha: Double
  /// The last name parts of the adapted modules; empty where the file has a pattern and not a list.
  public var targets: [String]
  /// The last name parts of modules in `targets` that are not adapted.
  public var excluded: [String] = []
  /// The indices of the adapted layers; nil for all.
  public var layers: Set<Int>?
  /// The folder of the model that the adapters are for.
  public var base: String
  /// The initialization, if it changed the weights.
  public var initialization: Initialization?

  /// The name of the file.
  public static let fileName = "adapter_config.json"

  /// Adapters of rank r and scale α/r for unchanged weights.
  public init(rank: Int, alpha: Double, targets: [String], base: String) {
    self.rank = rank
    self.alpha = alpha
    self.targets = targets
    self.base = base
  }

  /// α/r: the scale of the product B A.
  public var scale: Double { alpha / Double(rank) }

  /// Reads the file at `url`.
  ///
  /// - Throws: `CheckpointError` or `InputError` that names the file and the key, also for variants of LoRA that are
  ///   not supported.
  init(_ url: URL) throws {
    let document = try JSONValue(contentsOf: url)
    guard case .object(let values) = document else {
      throw CheckpointError.malformed(url.path, "the document is \(document.summary): expected an object")
    }
    func refusal(_ key: String, _ expected: String) -> CheckpointError {
      let found = values[key].map { "is \($0.summary)" } ?? "is missing"
      return CheckpointError.malformed(url.path, "\(printable(key)) \(found): expected \(expected)")
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
      guard Self.isDefault(value) else { throw refusal(key, "none, as plain LoRA alone is supported") }
    }
    guard [nil, .null, .string("none")].contains(values["bias"]) else { throw refusal("bias", "none") }
    self.init(rank: rank, alpha: alpha, targets: Self.strings(values["target_modules"]), base: base)
    excluded = Self.strings(values["exclude_modules"])
    switch values["layers_to_transform"] {
    case nil, .null?: break
    case .number(let number)?: layers = Set([number].compactMap(\.integer))
    case .array(let list)?: layers = Set(list.compactMap { $0.number?.integer })
    default: throw refusal("layers_to_transform", "numbers of layers")
    }
    switch values["init_lora_weights"] {
    case nil, .null?, .boolean?: break
    case .string(let name)? where Self.initializationsOfAdaptersAlone.contains(name.lowercased()): break
    case .string(let name)?:
      initialization = Initialization(rawValue: name.lowercased())
      if initialization == nil { fallthrough }
    default: throw refusal("init_lora_weights", Self.supportedInitializations)
    }
  }

  /// Keys of variants of LoRA, in addition to those that begin with "use_".
  private static let unsupported: Set = [
    "alora_invocation_tokens", "alpha_pattern", "arrow_config", "fan_in_fan_out", "kasa_config", "layer_replication",
    "lora_bias", "modules_to_save", "monteclora_config", "rank_pattern", "target_parameters", "trainable_token_indices",
    "velora_config",
  ]

  /// Initializations that leave the weights unchanged.
  private static let initializationsOfAdaptersAlone: Set = ["gaussian", "orthogonal", "eva", "mica"]

  /// Other initializations (pissa_niter_N, corda, loftq, lora_ga) subtract a part that is random or depends on data,
  /// which cannot be recomputed from the model that the adapters name.
  private static let supportedInitializations =
    "true, false, gaussian, orthogonal, eva, mica, pissa or olora; with others the weights that the adapters were trained "
    + "on cannot be recomputed, see peft's path_initial_model_for_weight_conversion"

  /// Whether a value means that a variant of LoRA is not in use.
  private static func isDefault(_ value: JSONValue) -> Bool {
    switch value {
    case .null, .boolean(false): true
    case .array(let list): list.isEmpty
    case .object(let object): object.count == 0
    default: false
    }
  }

  /// The strings of a list; empty for any other value.
  private static func strings(_ value: JSONValue?) -> [String] {
    guard case .array(let list)? = value else { return [] }
    return list.compactMap { element in
      if case .string(let text) = element { text } else { nil }
    }
  }

  /// The content of the file, as peft reads it.
  func json() throws -> Data {
    struct Document: Encodable {
      let peftType = "LORA"
      let taskType = "CAUSAL_LM"
      let r: Int
      let loraAlpha: Double
      let targetModules: [String]
      let baseModelNameOrPath: String
      let bias = "none"
      let loraDropout = 0.0
      let inferenceMode = true
    }
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let document = Document(r: rank, loraAlpha: alpha, targetModules: targets, baseModelNameOrPath: base)
    return try encoder.encode(document) + Data("\n".utf8)
  }

  /// Why the configuration excludes an adapter that the file of weights contains; nil if it does not.
  ///
  /// peft ignores such an adapter, so applying it would give another model. Where `target_modules` is a pattern or
  /// "all-linear" and not a list, the file of weights decides.
  ///
  /// - Parameter module: a name such as "model.layers.0.self_attn.q_proj".
  func conflict(withAdapterOf module: String) -> String? {
    let parts = module.split(separator: ".")
    func names(_ list: [String]) -> Bool { list.contains { module == $0 || module.hasSuffix(".\($0)") } }
    if !targets.isEmpty, !names(targets) { return "target_modules does not have it" }
    if names(excluded) { return "exclude_modules has it" }
    guard let layers, let index = parts.firstIndex(of: "layers"), index + 1 < parts.count,
      let layer = Int(parts[index + 1])
    else { return nil }
    return layers.contains(layer) ? nil : "layers_to_transform does not have layer \(layer)"
  }
}
