import Foundation
import Wideband
import WidebandCheckedInput

/// A model folder that is to be rewritten.
struct SourceFolder {
  /// The configuration of the model.
  let configuration: ModelConfiguration
  /// Its weights with fused adapters. Building a model has checked them: none is missing, superfluous or of another
  /// shape.
  let weights: WeightStore
  private let source: ModelSource

  /// Files that are copied unchanged.
  private static let otherNames = [
    "tokenizer.json", "tokenizer_config.json",
    "generation_config.json", "chat_template.jinja", "vocab.json", "merges.txt", "special_tokens_map.json",
    "added_tokens.json", "LICENSE",
  ]
  static let maximumOtherBytes = 1 << 30

  /// - Parameter dtype: the type of weights with fused adapters; nil for their own.
  /// - Throws: one sentence that names the folder, if it contains no model.
  init(_ path: String, fusingAs dtype: DType? = nil) throws {
    source = try ModelSource(ModelFolder(fileURL(path)))
    var configuration = try ModelConfiguration(source)
    let tensors = try source.tensors(configuration)
    var weights = WeightStore(stored: tensors, mutable: false, adapters: try source.adapters(for: tensors))
    try weights.fill(configuration, of: path)
    if weights.adapters != nil {
      configuration.quantization = nil
      let fused = try weights.fused(as: dtype).map { ($0.name, $0.tensor) }
      weights = WeightStore(stored: Dictionary(uniqueKeysWithValues: fused), mutable: false)
      try weights.fill(configuration, of: path)
    }
    self.configuration = configuration
    self.weights = weights
  }

  /// The files to copy, by name.
  ///
  /// - Throws: `InputError` for a file that exists and cannot be read.
  func otherFiles() throws -> [String: Data] {
    var files: [String: Data] = [:]
    for name in Self.otherNames {
      let file = source.file(name)
      guard exists(file.path) else { continue }
      files[name] = try boundedContents(of: file, limit: Self.maximumOtherBytes)
    }
    return files
  }

  /// The type of the floating-point weights.
  var dtype: DType? {
    let names = ["model.embed_tokens.weight", "model.norm.weight"]
    return names.lazy.compactMap { weights.tensors[$0]?.dtype }.first(where: \.isFloatingPoint)
  }

  /// All tensors, unchanged.
  var tensors: [(name: String, tensor: Tensor)] { weights.tensors.map { (name: $0.key, tensor: $0.value) } }
}

extension WeightStore {
  /// Requests all tensors of a model.
  ///
  /// - Parameter path: the path of the model or its configuration, for errors.
  /// - Throws: `CommandError` if no model can be built from the configuration, or a tensor does not fit it.
  func fill(_ configuration: ModelConfiguration, of path: String) throws {
    do { _ = try LanguageModel(configuration, weights: self) } catch let error
      where error is ConfigurationError || error is TorchError
    {
      throw CommandError("\(printable(path: path)): \(error)")
    }
  }
}
