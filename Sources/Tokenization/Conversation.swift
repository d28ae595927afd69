import Foundation

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

/// Messages in turn: at least one, none of them empty.
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
  /// - Throws: ``TokenizationError`` if there are none, or one is empty.
  public init(_ messages: [Message]) throws {
    guard !messages.isEmpty else { throw TokenizationError("messages is empty, expected at least one") }
    self.messages = []
    for message in messages { try append(message) }
  }

  /// Adds a turn.
  ///
  /// - Throws: ``TokenizationError`` if it is empty.
  public mutating func append(_ message: Message) throws {
    guard !message.content.isEmpty else {
      throw TokenizationError("messages[\(messages.count)].content is empty, expected text")
    }
    messages.append(message)
  }

  /// Reads `{"messages": [{"role": "user", "content": "…"}, …]}`, as chat data has a line each.
  ///
  /// An assistant's message may have `reasoning_content` beside its content. Other keys are left alone, apart from those
  /// that call tools.
  ///
  /// - Parameter name: what error messages call the document.
  /// - Throws: ``TokenizationError`` that names the document, the key and the value.
  public init(json: [UInt8], name: String) throws {
    let root = try json.withUnsafeBufferPointer { bytes in
      var scanner = JSONScanner(bytes, file: name)
      let value = try scanner.value()
      try scanner.end()
      return JSONNode(value: value, path: "", file: name)
    }
    guard case .object = root.value else {
      throw TokenizationError("\(name): expected a JSON object with a key \"messages\"")
    }
    try Self.refuseTools(in: root, "tools")
    do {
      try self.init(try root.required("messages").elements().map(Self.message))
    } catch let error as TokenizationError {
      throw error.description.hasPrefix("\(name): ") ? error : TokenizationError("\(name): \(error.description)")
    }
  }

  private static func message(_ node: JSONNode) throws -> Message {
    let role = try node.required("role")
    guard let known = Message.Role(rawValue: try role.string()) else {
      throw role.failure(expected: "\"system\", \"user\" or \"assistant\"")
    }
    try refuseTools(in: node, "tool_calls")
    return Message(
      known, try node.required("content").string(), reasoning: try node.member("reasoning_content")?.string())
  }

  private static func refuseTools(in node: JSONNode, _ key: String) throws {
    if let tools = try node.member(key), tools.value != .array([]) {
      throw tools.failure(expected: "none, as calls of tools are not supported")
    }
  }
}
