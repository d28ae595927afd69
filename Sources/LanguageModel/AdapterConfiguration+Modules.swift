extension AdapterConfiguration {
  /// What the configuration says against an adapter of a module that the file of weights has; nil where they agree.
  ///
  /// peft leaves such an adapter out when it loads the folder: to apply it here would be another model. A single text in
  /// place of a list is a pattern, or "all-linear", and is not followed.
  ///
  /// - Parameter module: a name such as "model.layers.0.self_attn.q_proj".
  func objection(to module: String) -> String? {
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
