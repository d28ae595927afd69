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
      do { _ = try JSONGrammar(schema: try tool.objectSchema()) } catch let error as JSONGrammarError {
        throw APIError.unsupported(
          "request body: parameters of the function \(quoted(tool.name)): \(error)", parameter: "tools")
      }
    }
    let schemas = try callable.enumerated().map(Self.schema)
    do { return try JSONGrammar(schema: ["anyOf": .array(schemas)]) } catch {
      throw APIError.unsupported("request body: tools: \(error)", parameter: "tools")
    }
  }

  /// The schema of a call, the `index`-th alternative.
  private static func schema(_ index: Int, _ tool: Tool) throws -> JSONValue {
    [
      "type": "object", "additionalProperties": false, "required": ["name", "arguments"],
      "properties": [
        "name": ["const": .string(tool.name)],
        "arguments": relocated(try tool.objectSchema(), to: "#/anyOf/\(index)/properties/arguments"),
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
        switch (key, value) {
        case ("$ref", .string(let target)) where target.hasPrefix("#"):
          result[key] = .string(pointer + target.dropFirst())
        case ("const", _), ("enum", _), ("default", _), ("example", _), ("examples", _): result[key] = value
        case ("properties", .object(let schemas)), ("$defs", .object(let schemas)),
          ("definitions", .object(let schemas)):
          // The keys are names, which may be those of keywords.
          var named = JSONObject()
          for (name, schema) in schemas { named[name] = relocated(schema, to: pointer) }
          result[key] = .object(named)
        default: result[key] = relocated(value, to: pointer)
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
  /// The schema of the arguments as the client gives it: any object where it gives none.
  let parameters: JSONValue

  init(_ node: JSONNode) throws {
    let type = try node.required("type")
    guard try type.string() == "function" else { throw type.failure(expected: "'function'") }
    let function = try node.required("function")
    value = node.value
    name = try function.required("name").string()
    parameters = try function.member("parameters").map(Self.schema) ?? ["type": "object"]
  }

  private static func schema(_ node: JSONNode) throws -> JSONValue {
    switch node.value {
    case .object, .boolean(true): return node.value
    default: throw node.failure(expected: "a JSON schema, an object or true")
    }
  }

  /// The schema of those arguments that are objects, which arguments have to be.
  ///
  /// - Throws: ``APIError`` for a schema of a type that is none.
  func objectSchema() throws -> JSONValue {
    guard case .object(var members) = parameters else { return ["type": "object"] }
    switch members["type"] {
    case nil, "object": break
    case .array(let types)? where types.contains("object"): break
    case let type?:
      throw APIError.unsupported(
        "request body: parameters of the function \(quoted(name)): type is \(type.summary): expected 'object'",
        parameter: "tools")
    }
    members["type"] = "object"
    return .object(members)
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
