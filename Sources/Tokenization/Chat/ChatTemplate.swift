import WidebandCheckedInput
import WidebandJinja

/// The beginning of an answer in a generation prompt.
public enum ThinkingMode: Sendable, CaseIterable {
  /// The model decides whether it thinks first.
  case thinking
  /// No thought: Qwen3's template writes an empty one, so that the answer follows immediately.
  case direct
}

/// The Jinja template that turns conversations into the text which a model was trained on.
///
/// ```swift
/// let text = try tokenizer.chatTemplate.text(of: conversation, prompt: .thinking)
/// ```
///
/// Models of Hugging Face have one in `chat_template.jinja` or under `chat_template` in `tokenizer_config.json`.
/// ``chatML`` is for tokenizers without one.
public struct ChatTemplate: Sendable {
  /// The template as it was given.
  public let source: String
  private let template: JinjaTemplate
  /// The template for conversations with tools, where it is another one.
  private let toolTemplate: JinjaTemplate?
  /// The texts of special tokens that templates use, by names such as "bos_token".
  private let specialTokens: [String: String]
  /// The file and key in error messages.
  private let name: String
  /// Whether an answer ends with ChatML's end-of-turn token.
  let usesChatML: Bool

  /// The maximum size of a template file in bytes.
  static let maximumSize = 1 << 20

  /// Parses a template.
  ///
  /// - Parameters:
  ///   - source: the template.
  ///   - toolSource: the template for conversations with tools; nil for the same one.
  ///   - name: its name in error messages.
  ///   - specialTokens: texts of special tokens by names such as "bos_token", which are variables of the template.
  /// - Throws: ``TokenizationError/malformed(_:)`` that names the line.
  public init(
    _ source: String, toolSource: String? = nil, name: String, specialTokens: [String: String] = [:]
  ) throws {
    do {
      template = try JinjaTemplate(source)
      toolTemplate = try toolSource.map { source throws(JinjaError) in try JinjaTemplate(source) }
    } catch { throw Self.failure(error, in: name) }
    (self.source, self.name, self.specialTokens) = (source, name, specialTokens)
    usesChatML = source.contains(Self.requiredTokens[1])
  }

  /// A template's message may hold anything: it is shown on one line, within bounds.
  private static func failure(_ error: any Error, in name: String) -> TokenizationError {
    .malformed("\(name): \(printable("\(error)", limit: 500))")
  }

  /// The template of Qwen3's variant of ChatML, for tokenizers that have its tokens and no template.
  public static var chatML: ChatTemplate { get throws { try parsedChatML.get() } }

  private static let parsedChatML = Result { try ChatTemplate(chatMLSource, name: "ChatML") }

  /// The texts between ChatML's start-of-turn and end-of-turn tokens, as a tokenizer is trained on them.
  public static func texts(of conversation: Conversation) throws -> [[UInt8]] {
    let text = try chatML.render(conversation, prompt: nil).text
    let matcher = AddedTokenMatcher(requiredTokens.map { (AddedToken(special: $0), Array($0.utf8)) })
    var texts: [[UInt8]] = []
    text.bytes.withUnsafeBufferPointer { bytes in
      matcher.split(bytes, input: text.inputRanges, onText: { span, _ in texts.append(Array(span)) }) { _, _ in }
    }
    return texts
  }

  /// The text of a conversation.
  ///
  /// - Parameter prompt: the generation prompt to append; nil for none.
  /// - Throws: ``TokenizationError`` with the template's message if it refuses the conversation.
  public func text(of conversation: Conversation, prompt: ThinkingMode? = nil) throws -> String {
    try render(conversation, prompt: prompt).text.string
  }

  /// A conversation as text.
  struct Rendering {
    /// The text, with the parts that come from messages marked.
    let text: MarkedText
    /// The byte range of each answer: what a model generates, up to its end-of-turn token.
    let answers: [Range<Int>]
  }

  /// Renders a conversation, and finds its answers.
  ///
  /// Answers are the template's `{% generation %}` blocks. In a template without any, an answer is what follows the
  /// generation prompt after the messages before it; one that later messages change has no range.
  func render(_ conversation: Conversation, prompt: ThinkingMode?) throws -> Rendering {
    let output = try output(conversation.messages[...], conversation, prompt)
    guard output.generations.isEmpty else { return Rendering(text: output.text, answers: output.generations) }
    let messages = conversation.messages
    let answers = try messages.indices.filter { messages[$0].role == .assistant }.compactMap { index -> Range<Int>? in
      // Some templates refuse a conversation that does not begin with a question.
      guard index > 0 else { return nil }
      let before = try self.output(messages[..<index], conversation, .thinking).text.bytes
      let after = try self.output(messages[...index], conversation, nil).text.bytes
      guard before.count <= after.count, output.text.bytes.starts(with: after), after.starts(with: before) else {
        return nil
      }
      return before.count..<after.count
    }
    return Rendering(text: output.text, answers: answers)
  }

  private func output(
    _ messages: ArraySlice<Message>, _ conversation: Conversation, _ prompt: ThinkingMode?
  ) throws -> JinjaTemplate.Output {
    var values = specialTokens.mapValues(JinjaValue.trusted)
    values["messages"] = .list(try messages.map { try $0.templateValue })
    values["tools"] = conversation.tools.isEmpty ? JinjaValue.none : .list(try conversation.tools.map(JinjaValue.init))
    values["documents"] = JinjaValue.none
    values["add_generation_prompt"] = .boolean(prompt != nil)
    if let prompt { values["enable_thinking"] = .boolean(prompt == .thinking) }
    do {
      return try (conversation.tools.isEmpty ? template : toolTemplate ?? template).render(values)
    } catch {
      // Clients of a server are shown the sentence: the folder is none of their business.
      throw Self.failure(error, in: name.split(separator: "/").last.map(String.init) ?? name)
    }
  }
}

extension Message {
  /// The message as templates of Hugging Face expect it.
  fileprivate var templateValue: JinjaValue {
    get throws {
      var members = JSONObject()
      members["role"] = .string(role.rawValue)
      members["content"] = content.map { .string($0) } ?? .null
      if let reasoning { members["reasoning_content"] = .string(reasoning) }
      if !toolCalls.isEmpty { members["tool_calls"] = .array(toolCalls.map(\.templateValue)) }
      if let toolCallID { members["tool_call_id"] = .string(toolCallID) }
      if let name { members["name"] = .string(name) }
      return try JinjaValue(input: .object(members))
    }
  }
}
