import WidebandCheckedInput

/// One message of a conversation.
public struct Message: Hashable, Sendable {
  /// The author of a message.
  public enum Role: String, CaseIterable, Sendable {
    case system, user, assistant
  }

  /// The author.
  public var role: Role
  /// The text. An assistant's may begin with a thought between "<think>" and "</think>".
  public var content: String
  /// An assistant's thought, if it is given separately from the content.
  public var reasoning: String?

  /// A message.
  public init(_ role: Role, _ content: String, reasoning: String? = nil) {
    self.role = role
    self.content = content
    self.reasoning = reasoning
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

  /// A conversation of these messages.
  ///
  /// - Throws: ``TokenizationError`` if the list is empty.
  public init(_ messages: [Message]) throws {
    guard !messages.isEmpty else { throw TokenizationError.malformed("messages is empty: expected at least one") }
    self.messages = messages
  }

  /// Appends a message.
  public mutating func append(_ message: Message) { messages.append(message) }

  /// Reads `{"messages": [{"role": "user", "content": "…"}, …]}`, one line of chat data.
  ///
  /// The content may also be a list of parts of the type "text", `[{"type": "text", "text": "…"}]`. An assistant's
  /// message may have a thought under one of the equivalent keys `reasoning_content`, `reasoning` and `thinking`. Tool
  /// calls are refused; other keys are ignored.
  ///
  /// - Parameters:
  ///   - file: the file's name in error messages.
  ///   - line: the line number in the file; nil for a whole document.
  /// - Throws: ``TokenizationError`` that names the file and line, the key and the value.
  public init(json: [UInt8], file: String, line: Int? = nil) throws {
    let place = line.map { "\(file): line \($0)" } ?? file
    messages = try TokenizationError.converting {
      let root = JSONNode(try JSONValue(parsing: json, file: file, line: line), file: place)
      guard case .object = root.value else { throw root.failure(expected: "an object with a key 'messages'") }
      try Self.refuseTools(in: root, "tools")
      let list = try root.required("messages")
      let messages = try list.elements().map(Self.message)
      guard !messages.isEmpty else { throw InputError("\(place): messages is empty: expected at least one") }
      return messages
    }
  }

  private static func message(_ node: JSONNode) throws -> Message {
    let role = try node.required("role")
    guard let known = Message.Role(rawValue: try role.string()) else {
      throw role.failure(expected: "'system', 'user' or 'assistant'")
    }
    try refuseTools(in: node, "tool_calls")
    return Message(
      known, try content(node.required("content")), reasoning: try known == .assistant ? reasoning(node) : nil)
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

  private static func refuseTools(in node: JSONNode, _ key: String) throws {
    if let tools = try node.member(key), tools.value != .array([]) {
      throw tools.failure(expected: "none, as calls of tools are not supported")
    }
  }
}
