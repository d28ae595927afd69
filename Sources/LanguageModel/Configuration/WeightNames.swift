import WidebandTorch

/// Converts the tensor names of Qwen3 files to those of `LanguageModel`.
enum WeightNames {
  /// The weights among the tensors, under the names of a model with a head.
  static func standard(_ tensors: [String: Tensor]) -> [String: Tensor] {
    withPrefix(tensors.filter { name, _ in !isDerived(name) })
  }

  /// The tensors with the prefix `model.`. Files saved from the class without a head, such as Qwen3-Embedding's, omit
  /// it, as do adapters that were trained on that class.
  static func withPrefix(_ tensors: [String: Tensor]) -> [String: Tensor] {
    let own = ["embed_tokens.", "layers.", "norm."]
    guard !tensors.keys.contains(where: { $0.hasPrefix(prefix) }) else { return tensors }
    return tensors.reduce(into: [:]) { renamed, entry in
      let isOwn = own.contains { entry.key.hasPrefix($0) }
      renamed[isOwn ? prefix + entry.key : entry.key] = entry.value
    }
  }

  private static let prefix = "model."

  /// Whether a tensor is derived from the configuration and not a weight: rotary frequencies and tables, which older
  /// versions of transformers saved, and the constant of a causal mask.
  private static func isDerived(_ name: String) -> Bool {
    let parts = name.split(separator: ".")
    guard let last = parts.last else { return false }
    return parts.dropLast().last == "rotary_emb" ? rotary.contains(last) : last == "masked_bias"
  }

  private static let rotary: Set<Substring> = ["inv_freq", "original_inv_freq", "cos_cached", "sin_cached"]
}
