import WidebandCheckedInput
import WidebandJinja

/// A conversation as tokens.
public struct EncodedConversation: Hashable, Sendable {
  /// The ids.
  public let tokens: [TokenID]
  /// The range of each assistant answer in `tokens`: from the first token that a model has to generate, thoughts
  /// included, to the end-of-turn token.
  public let answers: [Range<Int>]
  /// The number of bytes of the text.
  public let byteCount: Int
}

extension Tokenizer {
  /// The template of the tokenizer's folder, else that of ChatML.
  ///
  /// - Throws: ``TokenizationError`` if there is none and the tokenizer lacks ``ChatTemplate/requiredTokens``.
  public var chatTemplate: ChatTemplate {
    get throws {
      if let ownChatTemplate { return ownChatTemplate }
      _ = try endOfTurn
      return try ChatTemplate.chatML
    }
  }

  /// The id of the token that ends an answer: ChatML's, or the `eos_token` of a folder whose template does not use it.
  ///
  /// - Throws: ``TokenizationError`` if the tokenizer lacks it.
  public var endOfTurn: TokenID {
    get throws {
      if let ownChatTemplate, !ownChatTemplate.usesChatML, let name = specialTokens["eos_token"],
        let id = tokenToID(name)
      {
        return id
      }
      let ids = try ChatTemplate.requiredTokens.map { token in
        guard let added = addedTokens.first(where: { $0.matches(token) }) else {
          throw TokenizationError.unknownToken(
            "the tokenizer has no added token '\(token)': expected one for conversations")
        }
        return added.id
      }
      return ids[1]
    }
  }

  /// The ids of a conversation in the chat template, and the ranges of its answers.
  ///
  /// Special tokens are those of the template alone: the text of a message is encoded like any other text.
  ///
  /// - Parameter prompt: the generation prompt to append; nil for none.
  /// - Throws: as ``endOfTurn`` and ``ChatTemplate/text(of:prompt:)``.
  public func encode(_ conversation: Conversation, prompt: ThinkingMode? = nil) throws -> EncodedConversation {
    let (template, endOfTurn) = (try chatTemplate, try endOfTurn)
    let rendering = try template.render(conversation, prompt: prompt)
    let bounds = rendering.answers.flatMap { [$0.lowerBound, $0.upperBound] }
    let (tokens, counts) = try encode(rendering.text, boundaries: bounds)
    let answers = stride(from: 0, to: counts.count, by: 2).map { index -> Range<Int> in
      let (start, end) = (counts[index], counts[index + 1])
      // A model does not generate what templates write after the end-of-turn token.
      return start..<(tokens[start..<end].lastIndex(of: endOfTurn).map { $0 + 1 } ?? end)
    }
    return EncodedConversation(tokens: tokens, answers: answers, byteCount: rendering.text.bytes.count)
  }
}
