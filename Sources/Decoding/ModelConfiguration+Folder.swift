import Checkpoint
import Foundation
import LanguageModel
import Torch

extension ModelConfiguration {
  /// The configuration of a model folder.
  ///
  /// - Throws: `CheckpointError` if `config.json` cannot be read; `GenerationError` naming the file and the key if it
  ///   does not describe a model.
  public init(_ folder: ModelFolder) throws { try self.init(try StoredModel(folder)) }

  /// The configuration of a model: its folder's own, or that of the model which adapters in it are for.
  public init(_ stored: StoredModel) throws {
    let file = stored.configurationFile
    if file.lastPathComponent == StoredModel.configurationName {
      try self.init(file: file)
      return
    }
    let folder = ModelFolder(file.deletingLastPathComponent())
    self = try decoded(Self.self, from: folder.configurationData(), in: file)
  }

  /// Says that the folder's matrices, which are floats, are quantised.
  ///
  /// - Throws: `GenerationError` if they are not floats.
  public mutating func quantize(as scheme: QuantizationScheme, in folder: ModelFolder) throws {
    if let quantization {
      throw GenerationError("\(folder.url.path): the weights are quantised already (\(quantization)): expected floats")
    }
    quantization = scheme
  }

  /// The configuration in a file of any name.
  ///
  /// - Throws: `GenerationError` naming the file and the key.
  public init(file: URL) throws {
    guard let data = try? Data(contentsOf: file) else { throw GenerationError("\(file.path): cannot be read") }
    self = try decoded(Self.self, from: data, in: file)
  }
}

/// A value from JSON; what is wrong with the JSON becomes one sentence that names the file and the key.
func decoded<Value: Decodable>(_ type: Value.Type, from data: Data, in file: URL) throws -> Value {
  do {
    return try JSONDecoder().decode(type, from: data)
  } catch let error as Swift.DecodingError {
    throw GenerationError("\(file.path): \(sentence(error, about: data))")
  } catch { throw GenerationError("\(file.path): \(error)") }
}

private func sentence(_ error: Swift.DecodingError, about data: Data) -> String {
  func path(_ context: Swift.DecodingError.Context, _ last: (any CodingKey)? = nil) -> String {
    let keys = context.codingPath + (last.map { [$0] } ?? [])
    return keys.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
  }
  switch error {
  case .keyNotFound(let key, let context): return "\(path(context, key)) is missing"
  case .valueNotFound(let type, let context): return "\(path(context)) is null: expected \(name(type))"
  case .typeMismatch(let type, let context):
    return "\(context.codingPath.isEmpty ? "the document" : path(context)) has the wrong type: expected \(name(type))"
  case .dataCorrupted(let context):
    guard !context.codingPath.isEmpty else { return "is not valid JSON" }
    let path = path(context)
    let expected = ModelConfiguration.choices[path].map { "expected one of \($0.joined(separator: ", "))" }
    return "\(path)\(word(at: context.codingPath, in: data)): \(expected ?? context.debugDescription)"
  @unknown default: return "\(error)"
  }
}

/// " is "word"" for the string that a document has at a path; nothing where it has another value.
private func word(at path: [any CodingKey], in data: Data) -> String {
  let root = try? JSONSerialization.jsonObject(with: data)
  let value = path.reduce(root) { ($0 as? [String: Any])?[$1.stringValue] }
  return (value as? String).map { " is \"\($0)\"" } ?? ""
}

private func name(_ type: any Any.Type) -> String {
  switch type {
  case is Int.Type: "a whole number"
  case is Double.Type: "a number"
  case is Bool.Type: "true or false"
  case is String.Type: "a string"
  case is [String: Any].Type: "an object"
  case is any Collection.Type: "a list"
  default: "\(type)"
  }
}
