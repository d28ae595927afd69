import WidebandCheckedInput

/// One message of a conversation.
public struct Message: Hashable, Sendable {
  /// The author of a message; a tool's message is the result of a call.
  public enum Role: String, CaseIterable, Sendable {
    case system, user, assistant, tool
  }

  /// The author.
  public var role: Role
  /// The text; nil for an answer that only calls tools. An assistant's may begin with a thought between "<think>" and
  /// "</think>".
  public var content: String?
  /// An assistant's thought, if it is given separately from the content.
  public var reasoning: String?
  /// The tools that an assistant calls.
  public var toolCalls: [ToolCall] = []
  /// The call whose result a tool's message is.
  public var toolCallID: String?
  /// The name of the author or of the tool.
  public var name: String?

  /// A message.
  public init(_ role: Role, _ content: String?, reasoning: String? = nil, name: String? = nil) {
    self.role = role
    self.content = content
    self.reasoning = reasoning
    self.name = name
  }
}

/// A call of a tool in an answer.
public struct ToolCall: Hashable, Sendable {
  /// What the result refers to.
  public var id: String?
  /// The name of the tool.
  public var name: String
  /// The arguments: an object, or its JSON text as the OpenAI API has it.
  public var arguments: JSONValue

  /// A call.
  public init(id: String? = nil, name: String, arguments: JSONValue) {
    (self.id, self.name, self.arguments) = (id, name, arguments)
  }

  var templateValue: JSONValue {
    var function = JSONObject()
    function["name"] = .string(name)
    function["arguments"] = arguments
    var call = JSONObject()
    if let id { call["id"] = .string(id) }
    call["type"] = .string("function")
    call["function"] = .object(function)
    return .object(call)
  }
}

/// A conversation: a list of at least one message.
///
/// ```swift
/// var conversation = try Conversation([Message(.user, "What is light?")])
/// let prompt = try tokenizer.encode(conversation, prompt: .thinking).tokens
/// ```
public struct Conversation: Hashable, Sendable {
  /// The messages in order.
  public private(set) var messages: [Message]
  /// The tools that the model may call, each as the OpenAI API describes it: `{"type": "function", "function": {…}}`.
  public var tools: [JSONValue] = []

  /// A conversation of these messages.
  ///
  /// - Throws: ``TokenizationError`` if the list is empty.
  public init(_ messages: [Message], tools: [JSONValue] = []) throws {
    guard !messages.isEmpty else { throw TokenizationError.malformed("messages is empty: expected at least one") }
    (self.messages, self.tools) = (messages, tools)
  }

  /// Appends a message.
  public mutating func append(_ message: Message) { messages.append(message) }

  /// Reads `{"messages": [{"role": "user", "content": "…"}, …]}`, one line of chat data.
  ///
  /// The content may also be a list of parts of the type "text", `[{"type": "text", "text": "…"}]`. An assistant's
  /// message may have a thought under one of the equivalent keys `reasoning_content`, `reasoning` and `thinking`, and
  /// `tool_calls`; then its content may be null. `tools` lists the tools. Other keys are ignored.
  ///
  /// - Parameters:
  ///   - file: the file's name in error messages.
  ///   - line: the line number in the file; nil for a whole document.
  /// - Throws: ``TokenizationError`` that names the file and line, the key and the value.
  public init(json: [UInt8], file: String, line: Int? = nil) throws {
    let place = line.map { "\(file): line \($0)" } ?? file
    self = try TokenizationError.converting {
      try Conversation(JSONNode(try JSONValue(parsing: json, file: file, line: line), file: place))
    }
  }

  /// Reads the members `messages` and `tools` of a document.
  ///
  /// - Throws: `InputError` that names the key and the value.
  package init(_ root: JSONNode) throws {
    guard case .object = root.value else { throw root.failure(expected: "an object with a key 'messages'") }
    messages = try root.required("messages").elements().map(Self.message)
    guard !messages.isEmpty else { throw InputError("\(root.file): messages is empty: expected at least one") }
    tools = try root.member("tools")?.elements().map(Self.tool) ?? []
  }

  private static func message(_ node: JSONNode) throws -> Message {
    let role = try node.required("role")
    guard let known = Message.Role(rawValue: try role.string()) else {
      throw role.failure(expected: "'system', 'user', 'assistant' or 'tool'")
    }
    guard known == .assistant else {
      var message = Message(known, try content(node.required("content")), name: try node.member("name")?.string())
      message.toolCallID = known == .tool ? try node.member("tool_call_id")?.string() : nil
      return message
    }
    let calls = try node.member("tool_calls")?.elements().map(toolCall) ?? []
    var message = Message(
      known, try calls.isEmpty ? content(node.required("content")) : node.member("content").map(content),
      reasoning: try reasoning(node))
    message.toolCalls = calls
    return message
  }

  /// A call, as the OpenAI API has it or without the enclosing `function`.
  private static func toolCall(_ node: JSONNode) throws -> ToolCall {
    let function = try node.member("function") ?? node
    let arguments = try function.required("arguments")
    switch arguments.value {
    case .object, .string: break
    default: throw arguments.failure(expected: "an object or its JSON text")
    }
    return ToolCall(
      id: try node.member("id")?.string(), name: try function.required("name").string(), arguments: arguments.value)
  }

  private static func tool(_ node: JSONNode) throws -> JSONValue {
    guard case .object = node.value else { throw node.failure(expected: "an object") }
    return node.value
  }

  /// The content of a message: a text, or parts of text, concatenated as in the templates of Qwen's multimodal models.
  private static func content(_ node: JSONNode) throws -> String {
    guard case .array = node.value else { return try node.string() }
    return try node.elements().map { part in
      let type = try part.required("type")
      guard try type.string() == "text" else { throw type.failure(expected: "'text', as only text is read") }
      return try part.required("text").string()
    }.joined()
  }

  /// The thought of a message, under any of its keys.
  private static func reasoning(_ node: JSONNode) throws -> String? {
    var found: JSONNode?
    for key in ["reasoning_content", "thinking", "reasoning"] {
      guard let other = try node.member(key) else { continue }
      if let found, try !other.string().utf8.elementsEqual(found.string().utf8) {
        throw InputError("\(node.file): \(found.path) and \(other.path) differ: expected one thought")
      }
      found = found ?? other
    }
    return try found?.string()
  }
}
