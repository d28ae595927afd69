import WidebandCheckedInput
import WidebandStructuredOutput

/// The field `tool_choice`: whether the model may call tools, and whether it has to.
enum ToolChoice: Equatable {
  case none, automatic
  /// The answer is a call of one of the tools.
  case required
  /// The answer is a call of the tool with this name.
  case named(String)

  init(_ node: JSONNode) throws {
    switch node.value {
    case "none": self = .none
    case "auto": self = .automatic
    case "required": self = .required
    case .object:
      let type = try node.required("type")
      guard try type.string() == "function" else { throw type.failure(expected: "'function'") }
      self = .named(try node.required("function").required("name").string())
    default: throw node.failure(expected: "'none', 'auto', 'required' or a function")
    }
  }

  /// What the answer has to be after `<tool_call>`: a call that the parameters of its tool allow. Nil for any answer.
  ///
  /// - Throws: ``APIError`` for a choice without tools, an unknown name, and for parameters that cannot be enforced.
  func grammar(_ tools: [Tool]) throws -> JSONGrammar? {
    let callable: [Tool]
    switch self {
    case .none, .automatic: return nil
    case .required: callable = tools
    case .named(let name): callable = tools.filter { $0.name == name }
    }
    guard !callable.isEmpty else {
      let value = if case .named(let name) = self { quoted(name) } else { "'required'" }
      throw APIError.invalid(
        "request body: tool_choice is \(value): expected a function of tools", parameter: "tool_choice")
    }
    for tool in callable {
      do { _ = try JSONGrammar(schema: tool.parameters) } catch {
        throw APIError.unsupported(
          "request body: parameters of the function \(quoted(tool.name)): \(error)", parameter: "tools")
      }
    }
    do { return try JSONGrammar(schema: ["anyOf": .array(callable.enumerated().map(Self.schema))]) } catch {
      throw APIError.unsupported("request body: tools: \(error)", parameter: "tools")
    }
  }

  /// The schema of a call, the `index`-th alternative.
  private static func schema(_ index: Int, _ tool: Tool) -> JSONValue {
    [
      "type": "object", "additionalProperties": false, "required": ["name", "arguments"],
      "properties": [
        "name": ["const": .string(tool.name)],
        "arguments": relocated(tool.parameters, to: "#/anyOf/\(index)/properties/arguments"),
      ],
    ]
  }

  /// A schema whose references to its own parts hold at another place of a document.
  private static func relocated(_ schema: JSONValue, to pointer: String) -> JSONValue {
    switch schema {
    case .array(let elements): return .array(elements.map { relocated($0, to: pointer) })
    case .object(let members):
      var result = JSONObject()
      for (key, value) in members {
        if key == "$ref", case .string(let target) = value, target.hasPrefix("#") {
          result[key] = .string(pointer + target.dropFirst())
        } else {
          result[key] = relocated(value, to: pointer)
        }
      }
      return .object(result)
    default: return schema
    }
  }
}

/// A function that the model may call.
struct Tool {
  /// The tool as the template shows it to the model.
  let value: JSONValue
  let name: String
  /// The schema of the arguments: any object where the client gives none.
  let parameters: JSONValue

  init(_ node: JSONNode) throws {
    let type = try node.required("type")
    guard try type.string() == "function" else { throw type.failure(expected: "'function'") }
    let function = try node.required("function")
    value = node.value
    name = try function.required("name").string()
    parameters = try function.member("parameters")?.value ?? ["type": "object"]
  }

  /// The field `tools`.
  static func list(_ node: JSONNode) throws -> [Tool] {
    let tools = try node.elements()
    guard tools.count <= Limit.tools else {
      throw InputError("\(node.file): tools has \(tools.count) elements: expected at most \(Limit.tools)")
    }
    return try tools.map(Tool.init)
  }
}
