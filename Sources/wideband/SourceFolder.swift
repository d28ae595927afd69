import Checkpoint
import Decoding
import Foundation
import LanguageModel
import Torch

/// A model folder that is to be written anew.
struct SourceFolder {
  /// What the model is made of.
  let configuration: ModelConfiguration
  /// Its weights, for which a model that was made of them vouches: none is missing, left over or of another shape.
  let weights: WeightStore
  private let url: URL
  private let path: String

  /// What goes along as it is, beside the tokenizer.
  private static let otherNames = [
    "generation_config.json", "chat_template.jinja", "vocab.json", "merges.txt", "special_tokens_map.json",
    "added_tokens.json", "LICENSE",
  ]

  /// - Throws: one sentence that names the folder, if it holds no model.
  init(_ path: String) throws {
    let folder = ModelFolder(URL(filePath: path))
    url = folder.url
    self.path = path
    configuration = try ModelConfiguration(folder)
    weights = WeightStore(stored: try configuration.weights(in: folder), mutable: false)
    do { _ = try LanguageModel(configuration, weights: weights) } catch let error
      where error is ConfigurationError || error is TorchError
    {
      throw CommandError("\(path): \(error)")
    }
  }

  /// The files that go along, by name.
  var otherFiles: [String: Data] {
    var files = tokenizerFiles(path)
    for name in Self.otherNames { files[name] = try? Data(contentsOf: url.appending(path: name)) }
    return files
  }

  /// The type of the weights that are floats.
  var dtype: DType? {
    let names = ["model.embed_tokens.weight", "model.norm.weight"]
    return names.lazy.compactMap { weights.tensors[$0]?.dtype }.first(where: \.isFloatingPoint)
  }

  /// Every tensor as it is.
  var tensors: [(name: String, tensor: Tensor)] { weights.tensors.map { (name: $0.key, tensor: $0.value) } }

  /// Every weight as floats, those of whole numbers in `dtype`.
  func expanded(as dtype: DType?) -> [(name: String, tensor: Tensor)] {
    let scales = Set(weights.matrices.keys.map(WeightMatrix.scalesName(of:)))
    return tensors.filter { !scales.contains($0.name) }.map { name, tensor in
      guard let matrix = weights.matrices[name], matrix.scheme != nil else { return (name, tensor) }
      return (name, matrix.floats.to(dtype ?? .float32))
    }
  }
}
