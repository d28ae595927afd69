/// What an answer that is asked for begins with.
public enum AnswerPrompt: Sendable, CaseIterable {
  /// Nothing: the model may think first, if it does.
  case thinking
  /// An empty thought, so that the answer follows at once.
  case direct
}

/// A conversation as tokens.
public struct EncodedConversation: Hashable, Sendable {
  /// The ids.
  public internal(set) var tokens: [Int32] = []
  /// Where each answer of the assistant stands in `tokens`: from the first token that a model would have to write, its
  /// thought included, to the one that ends the turn.
  public internal(set) var answers: [Range<Int>] = []
}

extension Conversation {
  /// The text in Qwen3's form of ChatML, which is what its own template gives:
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
  /// Thoughts stay in the answers that follow the last question of the user, and go from those before it. The last of
  /// all messages, if it is an answer without a thought, is given an empty one.
  ///
  /// - Parameter prompt: the beginning of an answer to add; nil for none.
  public func text(prompt: AnswerPrompt? = nil) -> String {
    turns.map(\.text).joined() + (prompt.map(Self.text) ?? "")
  }

  /// The text between the tokens that turns begin and end with: what a tokenizer makes tokens of by itself.
  public var texts: [[UInt8]] {
    turns.flatMap { turn in
      turn.text.utf8.split(separator: Self.turnStart.utf8).flatMap { $0.split(separator: Self.turnEnd.utf8) }
    }.map(Array.init)
  }

  /// One message in its form.
  struct Turn {
    /// All of it.
    let text: String
    /// The bytes before what a model would have to write; nil for a message that is no answer.
    let bytesBeforeAnswer: Int?
  }

  /// The tokens that a tokenizer needs for conversations.
  public static let requiredTokens = [turnStart, turnEnd]

  static let turnStart = "<|im_start|>"
  static let turnEnd = "<|im_end|>"
  private static let emptyThought = "<think>\n\n</think>\n\n"

  /// The beginning of an answer.
  static func text(of prompt: AnswerPrompt) -> String {
    "\(turnStart)assistant\n" + (prompt == .direct ? emptyThought : "")
  }

  /// Every message in its form.
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
  /// Whether this is a user's own words; what tools gave back is not.
  fileprivate var isQuestion: Bool {
    let (start, end) = ("<tool_response>".utf8, "</tool_response>".utf8)
    return role == .user
      && !(content.utf8.starts(with: start) && content.utf8.suffix(end.count).elementsEqual(end))
  }

  /// What was thought, without the tags, and what was said.
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
  /// The text without the line feeds at its start and, unless told otherwise, its end.
  fileprivate func trimmed(atEnd: Bool = true) -> String {
    var scalars = unicodeScalars[...]
    while scalars.first == "\n" { scalars.removeFirst() }
    while atEnd, scalars.last == "\n" { scalars.removeLast() }
    return String(scalars)
  }
}

extension Tokenizer {
  /// The id of the token that ends a turn.
  ///
  /// - Throws: ``TokenizationError`` if this tokenizer does not have the tokens that turns begin and end with.
  public var endOfTurn: Int32 {
    get throws {
      let ids = try Conversation.requiredTokens.map { token in
        guard let added = addedTokens.first(where: { $0.matches(token) }) else {
          throw TokenizationError("the tokenizer has no added token '\(token)': expected one for conversations")
        }
        return added.id
      }
      return ids[1]
    }
  }

  /// The ids of a conversation in Qwen3's form of ChatML, and where its answers stand.
  ///
  /// - Parameter prompt: the beginning of an answer to add; nil for none.
  /// - Throws: as ``endOfTurn``.
  public func encode(_ conversation: Conversation, prompt: AnswerPrompt? = nil) throws -> EncodedConversation {
    let endOfTurn = try endOfTurn
    var result = EncodedConversation()
    // A turn begins with an added token, which no other token reaches across: turns can be encoded one by one.
    for turn in conversation.turns {
      let ids = try encode(turn.text)
      let start = result.tokens.count
      result.tokens += ids
      guard let bytes = turn.bytesBeforeAnswer else { continue }
      // The line feed behind the end of a turn is not for the model to write.
      let end = start + (ids.lastIndex(of: endOfTurn).map { $0 + 1 } ?? ids.count)
      result.answers.append(min(end, start + tokens(ids, covering: bytes))..<end)
    }
    if let prompt { result.tokens += try encode(Conversation.text(of: prompt)) }
    return result
  }

  /// How many tokens from the first it takes to cover so many bytes.
  private func tokens(_ ids: [Int32], covering bytes: Int) -> Int {
    var covered = 0
    for (index, id) in ids.enumerated() {
      if covered >= bytes { return index }
      covered += idToToken(id)?.count ?? 0
    }
    return ids.count
  }
}
