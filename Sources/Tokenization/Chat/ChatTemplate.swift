import WidebandCheckedInput

/// The beginning of an answer in a generation prompt.
public enum ThinkingMode: Sendable, CaseIterable {
  /// Nothing: the model decides whether it thinks first.
  case thinking
  /// An empty thought, so that the answer follows immediately.
  case direct
}

/// A conversation as tokens.
public struct EncodedConversation: Hashable, Sendable {
  /// The ids.
  public internal(set) var tokens: [TokenID] = []
  /// The range of each assistant answer in `tokens`: from the first token that a model has to generate, thoughts
  /// included, to the end-of-turn token.
  public internal(set) var answers: [Range<Int>] = []
}

extension Conversation {
  /// The text in Qwen3's variant of ChatML, equal to that of Qwen3's own chat template:
  ///
  ///     <|im_start|>user
  ///     What is light?<|im_end|>
  ///     <|im_start|>assistant
  ///     <think>
  ///
  ///     </think>
  ///
  ///     A wave.<|im_end|>
  ///
  /// Thoughts are written for the answers after the user's last question, and removed from earlier answers. If the last
  /// message is an answer without a thought, it gets an empty one.
  ///
  /// - Parameter prompt: the generation prompt to append; nil for none.
  public func text(prompt: ThinkingMode? = nil) -> String {
    turns.map(\.text).joined() + (prompt.map(Self.text) ?? "")
  }

  /// The text between start-of-turn and end-of-turn tokens, as a tokenizer is trained on it.
  public var texts: [[UInt8]] {
    turns.flatMap { turn in
      turn.text.utf8.split(separator: Self.turnStart.utf8).flatMap { $0.split(separator: Self.turnEnd.utf8) }
    }.map(Array.init)
  }

  /// One formatted message.
  struct Turn {
    /// The whole message.
    let text: String
    /// The number of bytes before those that a model has to generate; nil for a message that is not an answer.
    let bytesBeforeAnswer: Int?
  }

  /// The tokens that a tokenizer needs for conversations.
  public static let requiredTokens = [turnStart, turnEnd]

  static let turnStart = "<|im_start|>"
  static let turnEnd = "<|im_end|>"
  private static let emptyThought = "<think>\n\n</think>\n\n"

  /// The generation prompt.
  static func text(of prompt: ThinkingMode) -> String {
    "\(turnStart)assistant\n" + (prompt == .direct ? emptyThought : "")
  }

  /// All messages, formatted.
  var turns: [Turn] {
    let last = messages.lastIndex(where: \.isQuestion) ?? messages.count - 1
    return messages.enumerated().map { index, message in
      let header = "\(Self.turnStart)\(message.role.rawValue)\n"
      guard message.role == .assistant else {
        return Turn(text: header + message.content + "\(Self.turnEnd)\n", bytesBeforeAnswer: nil)
      }
      let (thought, content) = message.thoughtAndContent
      let isLast = index == messages.count - 1
      let body: String
      if index > last, isLast || !thought.isEmpty {
        body = "<think>\n\(thought.trimmed())\n</think>\n\n\(content.trimmed(atEnd: false))"
      } else {
        body = content
      }
      let isUnthinking = thought.isEmpty && index > last && isLast
      return Turn(
        text: header + body + "\(Self.turnEnd)\n",
        bytesBeforeAnswer: header.utf8.count + (isUnthinking ? Self.emptyThought.utf8.count : 0))
    }
  }
}

extension Message {
  /// Whether this is a message of the user, as opposed to a tool's response.
  fileprivate var isQuestion: Bool {
    let (start, end) = ("<tool_response>".utf8, "</tool_response>".utf8)
    return role == .user
      && !(content.utf8.starts(with: start) && content.utf8.suffix(end.count).elementsEqual(end))
  }

  /// The thought, without its tags, and the rest of the content.
  fileprivate var thoughtAndContent: (thought: String, content: String) {
    if let reasoning { return (reasoning, content) }
    let ends = content.utf8.ranges(of: "</think>".utf8)
    guard let first = ends.first, let last = ends.last else { return ("", content) }
    var thought = content[..<first.lowerBound]
    if let start = thought.utf8.ranges(of: "<think>".utf8).last { thought = thought[start.upperBound...] }
    return (String(thought).trimmed(), String(content[last.upperBound...]).trimmed(atEnd: false))
  }
}

extension String {
  /// The text without leading and, if `atEnd`, trailing line feeds.
  fileprivate func trimmed(atEnd: Bool = true) -> String {
    var scalars = unicodeScalars[...]
    while scalars.first == "\n" { scalars.removeFirst() }
    while atEnd, scalars.last == "\n" { scalars.removeLast() }
    return String(scalars)
  }
}

extension Tokenizer {
  /// The id of the end-of-turn token.
  ///
  /// - Throws: ``TokenizationError`` if this tokenizer lacks ``Conversation/requiredTokens``.
  public var endOfTurn: TokenID {
    get throws {
      let ids = try Conversation.requiredTokens.map { token in
        guard let added = addedTokens.first(where: { $0.matches(token) }) else {
          throw TokenizationError.unknownToken(
            "the tokenizer has no added token '\(token)': expected one for conversations")
        }
        return added.id
      }
      return ids[1]
    }
  }

  /// The ids of a conversation in Qwen3's variant of ChatML, and the ranges of its answers.
  ///
  /// - Parameter prompt: the generation prompt to append; nil for none.
  /// - Throws: as ``endOfTurn``.
  public func encode(_ conversation: Conversation, prompt: ThinkingMode? = nil) throws -> EncodedConversation {
    let endOfTurn = try endOfTurn
    var result = EncodedConversation()
    // A turn begins with an added token, which no other token spans: turns can be encoded one by one.
    for turn in conversation.turns {
      let ids = try encode(turn.text)
      let start = result.tokens.count
      result.tokens += ids
      guard let bytes = turn.bytesBeforeAnswer else { continue }
      // The model does not generate the line feed after the end-of-turn token.
      let end = start + (ids.lastIndex(of: endOfTurn).map { $0 + 1 } ?? ids.count)
      result.answers.append(min(end, start + tokens(ids, covering: bytes))..<end)
    }
    if let prompt { result.tokens += try encode(Conversation.text(of: prompt)) }
    return result
  }

  /// The number of leading tokens that cover at least `bytes` bytes.
  private func tokens(_ ids: [TokenID], covering bytes: Int) -> Int {
    var covered = 0
    for (index, id) in ids.enumerated() {
      if covered >= bytes { return index }
      covered += idToToken(id)?.count ?? 0
    }
    return ids.count
  }
}
