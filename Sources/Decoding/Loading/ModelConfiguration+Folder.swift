import Foundation
import WidebandCheckedInput
import WidebandCheckpoint
import WidebandLanguageModel
import WidebandTorch

extension ModelConfiguration {
  /// The configuration of a model folder.
  ///
  /// - Throws: `CheckpointError` if `config.json` cannot be read; `InputError` or `GenerationError` naming the file and the
  ///   key if it does not describe a model.
  public init(_ folder: ModelFolder) throws { try self.init(try ModelSource(folder)) }

  /// The configuration of a model: its folder's own, or that of the base model of the folder's adapters.
  ///
  /// A saved head is separate if it differs from the embedding table, whatever the file says.
  public init(_ source: ModelSource) throws {
    let file = source.configurationFile
    if file.lastPathComponent == ModelSource.configurationName {
      try self.init(file: file)
    } else {
      let data = try ModelFolder(file.deletingLastPathComponent()).configurationData()
      self = try decoded(Self.self, from: JSONValue(parsing: data, file: printable(path: file.path)), in: file)
    }
    try untieHead(of: source.base)
  }

  /// Sets the scheme to which the folder's matrices are quantized when they are loaded.
  ///
  /// - Throws: `GenerationError` if they are quantized already.
  public mutating func quantize(as scheme: QuantizationScheme, in folder: ModelFolder) throws {
    if let quantization {
      throw GenerationError.invalidFile(
        "\(printable(path: folder.url.path)): the weights are quantized already (\(quantization)): expected floats")
    }
    quantization = scheme
  }

  /// The configuration in a file of any name.
  ///
  /// - Throws: `InputError` or `GenerationError` naming the file and the key.
  public init(file: URL) throws { self = try decoded(Self.self, from: JSONValue(contentsOf: file), in: file) }
}

/// The value that a JSON document of a model folder describes.
///
/// - Throws: `InputError` or `GenerationError` naming the file, the key, the value found and what was expected.
func decoded<Value: Decodable>(_ type: Value.Type, from document: JSONValue, in file: URL) throws -> Value {
  let name = printable(path: file.path)
  do { return try ValueDecoder(name).decode(type, from: document) } catch let error as ConfigurationError {
    throw GenerationError.invalidFile("\(name): \(error)")
  }
}
