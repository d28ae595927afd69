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
  private let stored: ModelSource

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
    stored = try ModelSource(ModelFolder(fileURL(path)))
    var configuration = try ModelConfiguration(stored)
    func checked(_ weights: WeightStore) throws -> WeightStore {
      do { _ = try LanguageModel(configuration, weights: weights) } catch let error
        where error is ConfigurationError || error is TorchError
      {
        throw CommandError("\(printable(path: path)): \(error)")
      }
      return weights
    }
    let tensors = try stored.tensors(configuration)
    var weights = try checked(
      WeightStore(stored: tensors, mutable: false, adapters: stored.adapters(for: tensors)))
    if weights.adapters != nil {
      configuration.quantization = nil
      let fused = try weights.fused(as: dtype)
      weights = try checked(
        WeightStore(stored: Dictionary(uniqueKeysWithValues: fused.map { ($0.name, $0.tensor) }), mutable: false))
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
      let file = stored.file(name)
      guard isThere(file.path) else { continue }
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

  /// All weights as floats, the quantized ones dequantized to `dtype`.
  func dequantized(as dtype: DType?) -> [(name: String, tensor: Tensor)] {
    let scales = Set(weights.matrices.keys.map(WeightMatrix.scalesName(of:)))
    return tensors.filter { !scales.contains($0.name) }.map { name, tensor in
      guard let matrix = weights.matrices[name], matrix.scheme != nil else { return (name, tensor) }
      return (name, matrix.floats.to(dtype ?? .float32))
    }
  }
}
