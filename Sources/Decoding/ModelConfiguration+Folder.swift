import Checkpoint
import Foundation
import LanguageModel

extension ModelConfiguration {
  /// The configuration of a model folder.
  ///
  /// - Throws: `CheckpointError` if `config.json` cannot be read; `GenerationError` naming the file and the key if it
  ///   does not describe a model.
  public init(_ folder: ModelFolder) throws {
    self = try decoded(Self.self, from: folder.configurationData(), in: folder.url.appending(path: "config.json"))
  }
}

/// A value from JSON; what is wrong with the JSON becomes one sentence that names the file and the key.
func decoded<Value: Decodable>(_ type: Value.Type, from data: Data, in file: URL) throws -> Value {
  do {
    return try JSONDecoder().decode(type, from: data)
  } catch let error as Swift.DecodingError {
    throw GenerationError("\(file.path): \(sentence(error))")
  } catch { throw GenerationError("\(file.path): \(error)") }
}

private func sentence(_ error: Swift.DecodingError) -> String {
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
    return context.codingPath.isEmpty ? "is not valid JSON" : "\(path(context)): \(context.debugDescription)"
  @unknown default: return "\(error)"
  }
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
