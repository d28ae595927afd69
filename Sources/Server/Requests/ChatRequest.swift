import WidebandCheckedInput
import WidebandServing
import WidebandStructuredOutput
import WidebandTokenization

/// The body of `POST /v1/chat/completions`.
struct ChatRequest: Sendable {
  let generation: GenerationFields
  let conversation: Conversation
  /// Whether calls of tools in the answer are told apart.
  let callsTools: Bool
  /// What the answer has to be, after the beginning of a call where that is required; nil for any text.
  let grammar: JSONGrammar?
  /// Whether the answer is a call of a tool, whose beginning is part of the prompt.
  let beginsWithCall: Bool
  let thinking: ThinkingMode
  /// The number of most probable tokens to report; nil for no log-probabilities.
  let logprobCount: Int?

  init(_ fields: RequestFields) throws {
    generation = try GenerationFields(fields)
    try fields.refuse("chat_template", "expected the template of the model's folder")
    try fields.refuse("functions", "expected tools")
    try fields.refuse("function_call", "expected tool_choice")
    try fields.refuse("continue_final_message", "expected false") { $0 != false }
    try fields.refuse("add_generation_prompt", "expected true") { $0 != true }
    let choice = try fields.read("tool_choice", ToolChoice.init) ?? .automatic
    let tools = try fields.read("tools", Tool.list) ?? []
    let call = try choice.grammar(tools)
    if call != nil, generation.grammar != nil {
      throw APIError.unsupported(
        "response_format is given: expected none where tool_choice asks for a call", parameter: "response_format")
    }
    (grammar, beginsWithCall) = (call ?? generation.grammar, call != nil)
    callsTools = choice != .none && !tools.isEmpty
    var conversation = try fields.required("messages") { _ in try Self.conversation(fields.root) }
    conversation.tools = callsTools ? tools.map(\.value) : []
    self.conversation = conversation
    // A grammar holds from the first byte, so no thought can come first.
    thinking = try grammar == nil ? Self.thinking(fields) : .direct
    logprobCount = try Self.logprobCount(fields)
  }

  /// The messages; a developer's are the system's.
  private static func conversation(_ root: JSONNode) throws -> Conversation {
    var members = JSONObject()
    let messages = try root.required("messages").elements().map { node -> JSONValue in
      guard case .object(var message) = node.value, message["role"] == "developer" else { return node.value }
      message["role"] = "system"
      return .object(message)
    }
    members["messages"] = .array(messages)
    return try Conversation(JSONNode(.object(members), file: root.file))
  }

  /// Whether the model may think first: `enable_thinking`, or the same among `chat_template_kwargs`.
  private static func thinking(_ fields: RequestFields) throws -> ThinkingMode {
    let key = "enable_thinking"
    let argument = try fields.read("chat_template_kwargs") { try $0.member(key)?.boolean() } ?? nil
    return try fields.read(key) { try $0.boolean() } ?? argument ?? true ? .thinking : .direct
  }

  private static func logprobCount(_ fields: RequestFields) throws -> Int? {
    let count = try fields.integer("top_logprobs", "a number", in: Limit.logprobs)
    if try fields.flag("logprobs") { return count ?? 0 }
    if count ?? 0 > 0 {
      throw APIError.invalid(
        "request body: top_logprobs is given: expected logprobs to be true", parameter: "top_logprobs")
    }
    return nil
  }
}
