import CheckedInput

/// One turn of a conversation.
public struct Message: Hashable, Sendable {
  /// Who speaks.
  public enum Role: String, CaseIterable, Sendable {
    case system, user, assistant
  }

  /// Who speaks.
  public var role: Role
  /// What is said. An assistant's may begin with what it thought, between "<think>" and "</think>".
  public var content: String
  /// What an assistant thought first, where that stands apart from the content.
  public var reasoning: String?

  /// A turn.
  public init(_ role: Role, _ content: String, reasoning: String? = nil) {
    self.role = role
    self.content = content
    self.reasoning = reasoning
  }
}

/// Messages in turn: at least one.
///
/// ```swift
/// var conversation = try Conversation([Message(.user, "What is light?")])
/// let prompt = try tokenizer.encode(conversation, prompt: .thinking).tokens
/// ```
public struct Conversation: Hashable, Sendable {
  /// The turns so far.
  public private(set) var messages: [Message]

  /// A conversation of some messages.
  ///
  /// - Throws: ``TokenizationError`` if there are none.
  public init(_ messages: [Message]) throws {
    guard !messages.isEmpty else { throw TokenizationError("messages is empty: expected at least one") }
    self.messages = messages
  }

  /// Adds a turn.
  public mutating func append(_ message: Message) { messages.append(message) }

  /// Reads `{"messages": [{"role": "user", "content": "…"}, …]}`, as chat data has a line each.
  ///
  /// The content may be a list of parts of the type "text", `[{"type": "text", "text": "…"}]`, as well.
  /// An assistant's message may have what it thought under `reasoning_content`, `reasoning` or `thinking`, names that
  /// mean the same. Other keys are left alone, apart from those that call tools.
  ///
  /// - Parameters:
  ///   - file: what error messages call the file.
  ///   - line: the line of the file that this is; nil for a document of its own.
  /// - Throws: ``TokenizationError`` that names the file and line, the key and the value.
  public init(json: [UInt8], file: String, line: Int? = nil) throws {
    let place = line.map { "\(file): line \($0)" } ?? file
    messages = try TokenizationError.wrapping {
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

  /// What a message says: a text, or parts that all are text, one behind the other as Qwen's templates of models that
  /// know parts put them.
  private static func content(_ node: JSONNode) throws -> String {
    guard case .array = node.value else { return try node.string() }
    return try node.elements().map { part in
      let type = try part.required("type")
      guard try type.string() == "text" else { throw type.failure(expected: "'text', as only text is read") }
      return try part.required("text").string()
    }.joined()
  }

  /// What a message says was thought, under any of the names for it.
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
