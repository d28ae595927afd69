extension AdapterConfiguration {
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
