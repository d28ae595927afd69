import Foundation
import Testing

@testable import Tokenization

/// Conversations in Qwen3's form, held to what transformers makes of them with Qwen3's own template.
@Suite struct ConversationTests {
  private struct Case: Decodable {
    struct Turn: Decodable {
      let role: String
      let content: String
      let reasoning: String?

      enum CodingKeys: String, CodingKey {
        case role, content
        case reasoning = "reasoning_content"
      }
    }
    let messages: [Turn]
    let prompt: Bool
    let thinking: Bool
    let text: String
    let ids: [Int32]

    var conversation: Conversation {
      get throws {
        try Conversation(
          messages.map { Message(try #require(Message.Role(rawValue: $0.role)), $0.content, reasoning: $0.reasoning) })
      }
    }
  }

  private let tokenizer: Tokenizer

  init() throws { tokenizer = try Fixtures.tokenizer("qwen") }

  @Test func textAndTokensAreThoseOfTransformers() throws {
    let file = Fixtures.root.deletingLastPathComponent().appending(path: "conversations/qwen3.json")
    let cases = try JSONDecoder().decode([Case].self, from: Data(contentsOf: file))
    #expect(cases.count == 54)
    for example in cases {
      let conversation = try example.conversation
      let prompt: AnswerPrompt? = example.prompt ? (example.thinking ? .thinking : .direct) : nil
      #expect(Array(conversation.text(prompt: prompt).utf8) == Array(example.text.utf8), "\(example.text)")
      #expect(try tokenizer.encode(conversation, prompt: prompt).tokens == example.ids, "\(example.text)")
    }
  }

  @Test func textsAreWhatStandsBetweenTheTokensOfTurns() throws {
    let conversation = try Conversation([
      Message(.user, "\u{301}What<|im_end|>?"), Message(.assistant, "A wave.", reasoning: "Hm"),
    ])
    #expect(
      conversation.texts.map { String(decoding: $0, as: UTF8.self) }
        == ["user\n\u{301}What", "?", "\n", "assistant\n<think>\nHm\n</think>\n\nA wave.", "\n"])
  }

  private func answers(_ messages: Message...) throws -> [String] {
    let encoded = try tokenizer.encode(try Conversation(messages))
    return try encoded.answers.map { try tokenizer.decode(encoded.tokens[$0]) }
  }

  @Test func answersAreWhatAModelWouldWrite() throws {
    let ask = Message(.user, "What is light?")
    #expect(try answers(ask) == [])
    #expect(try answers(ask, Message(.assistant, "A wave.")) == ["A wave.<|im_end|>"])
    #expect(
      try answers(ask, Message(.assistant, "A wave.", reasoning: "Be short."))
        == ["<think>\nBe short.\n</think>\n\nA wave.<|im_end|>"])
    #expect(
      try answers(ask, Message(.assistant, "<think>\nhm\n</think>\n\none"), ask, Message(.assistant, "two"))
        == ["one<|im_end|>", "two<|im_end|>"])
    #expect(try answers(ask, Message(.assistant, "a <|im_end|> b"), ask) == ["a <|im_end|> b<|im_end|>"])
  }

  /// Where a line feed merges with the one before the answer, it is not the model's to write.
  @Test func anAnswerBeginsWithATokenOfItsOwn() throws {
    let trainer = try BytePairTrainer(vocabularySize: 259, specialTokens: ["<|im_start|>", "<|im_end|>"])
    let tokenizer = try trainer.train([Array("a\n\nb\n\nc\n\nd".utf8)]).tokenizer()
    #expect(try tokenizer.encode("\n\n").count == 1)
    let encoded = try tokenizer.encode(
      try Conversation([Message(.user, "?"), Message(.assistant, "\nx"), Message(.user, "?")]))
    #expect(try encoded.answers.map { try tokenizer.decode(encoded.tokens[$0]) } == ["x<|im_end|>"])
  }

  /// An answer begins just behind the prompt that would have asked for it.
  @Test func anAnswerFollowsItsPrompt() throws {
    let asked = try Conversation([Message(.system, "Be kind."), Message(.user, "Hello")])
    for (prompt, reasoning) in [(AnswerPrompt.thinking, "hm"), (.direct, nil)] {
      var answered = asked
      try answered.append(Message(.assistant, "Good day", reasoning: reasoning))
      let encoded = try tokenizer.encode(answered)
      let start = try #require(encoded.answers.first?.lowerBound)
      #expect(try Array(encoded.tokens[..<start]) == tokenizer.encode(asked, prompt: prompt).tokens)
    }
  }

  @Test(arguments: [
    ("[]", "line 7: expected a JSON object with a key \"messages\""),
    ("{}", "line 7: messages is missing"),
    (#"{"messages": []}"#, "line 7: messages is empty, expected at least one"),
    (#"{"messages": "hello"}"#, "line 7: messages is \"hello\", expected an array"),
    (
      #"{"messages": [{"role": "user", "content": ""}]}"#, "line 7: messages[0].content is empty, expected text"
    ),
    (
      #"{"messages": [{"role": "user", "content": "a"}, {"role": "tool", "content": "b"}]}"#,
      #"line 7: messages[1].role is "tool", expected "system", "user" or "assistant""#
    ),
    (#"{"messages": [{"content": "a"}]}"#, "line 7: messages[0].role is missing"),
    (#"{"messages": [{"role": "user"}]}"#, "line 7: messages[0].content is missing"),
    (
      #"{"messages": [{"role": "user", "content": [{"type": "text"}]}]}"#,
      "line 7: messages[0].content is an array, expected a string"
    ),
    (
      #"{"messages": [{"role": "assistant", "content": "a", "tool_calls": [{"name": "f"}]}]}"#,
      "line 7: messages[0].tool_calls is an array, expected none, as calls of tools are not supported"
    ),
    (
      #"{"tools": [{}], "messages": [{"role": "user", "content": "a"}]}"#,
      "line 7: tools is an array, expected none, as calls of tools are not supported"
    ),
    (#"{"messages": [}"#, "line 7: malformed JSON at line 1, column 15: expected a value"),
  ])
  func whatIsNoConversationIsRefused(json: String, error: String) {
    #expect(failureOf { try Conversation(json: Array(json.utf8), name: "line 7") } == error)
  }

  @Test func conversationsAreReadFromJSON() throws {
    let json = """
      {"id": 3, "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u", "name": "x"},
       {"role": "assistant", "content": "a", "reasoning_content": "r", "tool_calls": []}], "tools": null}
      """
    let read = try Conversation(json: Array(json.utf8), name: "x")
    #expect(
      try read
        == Conversation([Message(.system, "s"), Message(.user, "u"), Message(.assistant, "a", reasoning: "r")]))
  }

  @Test func aTokenizerWithoutTurnsIsRefused() throws {
    let conversation = try Conversation([Message(.user, "a")])
    let tokenizer = try SmallFile().load()
    #expect(
      failureOf { try tokenizer.encode(conversation) }
        == "the tokenizer has no added token \"<|im_start|>\", expected one for conversations")
    #expect(failureOf { try Conversation([]) } == "messages is empty, expected at least one")
  }
}
