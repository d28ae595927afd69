import WidebandCheckedInput
import WidebandStructuredOutput

/// The field `response_format`.
enum ResponseFormat {
  /// What an answer has to be; nil for any text.
  static func grammar(_ node: JSONNode) throws -> JSONGrammar? {
    let type = try node.required("type")
    switch type.value {
    case "text": return nil
    case "json_object": return .anyObject
    case "json_schema":
      let schema = try node.required("json_schema").required("schema")
      do { return try JSONGrammar(schema: schema.value) } catch {
        throw APIError.unsupported("request body: \(schema.path): \(error)", parameter: "response_format")
      }
    default: throw type.failure(expected: "'text', 'json_object' or 'json_schema'")
    }
  }
}
