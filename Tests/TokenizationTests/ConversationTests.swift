import Foundation
import TestSupport
import Testing
import WidebandCheckedInput

@testable import WidebandTokenization

/// Conversations in Qwen3's format, compared with transformers and Qwen3's own template.
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
    let ids: [TokenID]

    var conversation: Conversation {
      get throws {
        try Conversation(
          messages.map { Message(try #require(Message.Role(rawValue: $0.role)), $0.content, reasoning: $0.reasoning) })
      }
    }
  }

  private let tokenizer: Tokenizer

  init() throws { tokenizer = try Fixtures.tokenizer("qwen") }

  @Test func encode_equalsTransformers() throws {
    let file = Fixtures.url("conversations/qwen3.json")
    let cases = try JSONDecoder().decode([Case].self, from: Data(contentsOf: file))
    #expect(cases.count == 54)
    for example in cases {
      let conversation = try example.conversation
      let prompt: ThinkingMode? = example.prompt ? (example.thinking ? .thinking : .direct) : nil
      let text = try tokenizer.chatTemplate.text(of: conversation, prompt: prompt)
      #expect(Array(text.utf8) == Array(example.text.utf8), "\(example.text)")
      #expect(try tokenizer.encode(conversation, prompt: prompt).tokens == example.ids, "\(example.text)")
    }
  }

  @Test func texts_excludeTurnTokens() throws {
    let conversation = try Conversation([
      Message(.user, "\u{301}What<|im_end|>?"), Message(.assistant, "A wave.", reasoning: "Hm"),
    ])
    #expect(
      try ChatTemplate.texts(of: conversation).map { String(decoding: $0, as: UTF8.self) }
        == ["user\n\u{301}What<|im_end|>?", "\n", "assistant\n<think>\nHm\n</think>\n\nA wave.", "\n"])
  }

  private func answers(_ messages: Message...) throws -> [String] {
    let encoded = try tokenizer.encode(try Conversation(messages))
    return try encoded.answers.map { try tokenizer.decode(encoded.tokens[$0]) }
  }

  @Test func answers_areTheGeneratedTokens() throws {
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

  /// A line feed that merges with the one before the answer is not part of the answer.
  @Test func answer_beginsAtATokenBoundary() throws {
    let trainer = try BytePairTrainer(vocabularySize: 259, specialTokens: ["<|im_start|>", "<|im_end|>"])
    let tokenizer = try trainer.train([Array("a\n\nb\n\nc\n\nd".utf8)]).tokenizer()
    #expect(try tokenizer.encode("\n\n").count == 1)
    let encoded = try tokenizer.encode(
      try Conversation([Message(.user, "?"), Message(.assistant, "\nx"), Message(.user, "?")]))
    #expect(try encoded.answers.map { try tokenizer.decode(encoded.tokens[$0]) } == ["x<|im_end|>"])
  }

  /// An answer begins directly after the corresponding generation prompt.
  @Test func answer_followsThePrompt() throws {
    let asked = try Conversation([Message(.system, "Be kind."), Message(.user, "Hello")])
    for (prompt, reasoning) in [(ThinkingMode.thinking, "hm"), (.direct, nil)] {
      var answered = asked
      answered.append(Message(.assistant, "Good day", reasoning: reasoning))
      let encoded = try tokenizer.encode(answered)
      let start = try #require(encoded.answers.first?.lowerBound)
      #expect(try Array(encoded.tokens[..<start]) == tokenizer.encode(asked, prompt: prompt).tokens)
    }
  }

  @Test(arguments: [
    ("[]", "the document is a list: expected an object with a key 'messages'"),
    ("{}", "messages is missing"),
    (#"{"messages": []}"#, "messages is empty: expected at least one"),
    (#"{"messages": "hello"}"#, "messages is 'hello': expected a list"),
    (
      #"{"messages": [{"role": "user", "content": "a"}, {"role": "function", "content": "b"}]}"#,
      "messages[1].role is 'function': expected 'system', 'user', 'assistant' or 'tool'"
    ),
    (#"{"messages": [{"content": "a"}]}"#, "messages[0].role is missing"),
    (#"{"messages": [{"role": "user"}]}"#, "messages[0].content is missing"),
    (#"{"messages": [{"role": "user", "content": 3}]}"#, "messages[0].content is 3: expected a string"),
    (
      #"{"messages": [{"role": "user", "content": "\ud83d"}]}"#,
      "messages[0].content is a string with half of a surrogate pair: expected a string"
    ),
    (
      #"{"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}]}]}"#,
      "messages[0].content[1].type is 'image_url': expected 'text', as only text is read"
    ),
    (#"{"messages": [{"role": "user", "content": ["a"]}]}"#, "messages[0].content[0] is 'a': expected an object"),
    (#"{"messages": [{"role": "user", "content": [{"text": "a"}]}]}"#, "messages[0].content[0].type is missing"),
    (#"{"messages": [{"role": "user", "content": [{"type": "text"}]}]}"#, "messages[0].content[0].text is missing"),
    (
      #"{"messages": [{"role": "user", "content": [{"type": "text", "text": ["a"]}]}]}"#,
      "messages[0].content[0].text is a list: expected a string"
    ),
    (
      #"{"messages": [{"role": "assistant", "content": "a", "tool_calls": [{"name": "f"}]}]}"#,
      "messages[0].tool_calls[0].arguments is missing"
    ),
    (
      #"{"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": 3}}]}]}"#,
      "messages[0].tool_calls[0].function.arguments is 3: expected an object or its JSON text"
    ),
    (
      #"{"messages": [{"role": "assistant", "tool_calls": {}}]}"#,
      "messages[0].tool_calls is an object: expected a list"
    ),
    (#"{"messages": [{"role": "assistant", "content": null}]}"#, "messages[0].content is missing"),
    (
      #"{"tools": [3], "messages": [{"role": "user", "content": "a"}]}"#, "tools[0] is 3: expected an object"
    ),
    (
      #"{"messages": [{"role": "assistant", "content": "a", "reasoning": "b", "thinking": "c"}]}"#,
      "messages[0].thinking and messages[0].reasoning differ: expected one thought"
    ),
    (
      #"{"messages": [{"role": "assistant", "content": "a", "reasoning": ["b"]}]}"#,
      "messages[0].reasoning is a list: expected a string"
    ),
  ])
  func whatIsNoConversationIsRefused(json: String, error: String) {
    #expect(message { try Conversation(json: Array(json.utf8), file: "f", line: 7) } == "f: line 7: \(error)")
  }

  @Test("malformed JSON is named with its position, once")
  func conversation_malformed() {
    #expect(
      message { try Conversation(json: Array(#"{"messages": [}"#.utf8), file: "f", line: 7) }
        == "f: line 7, column 15: malformed JSON: expected a value")
  }

  @Test("thoughts are read under each of their keys", arguments: ["reasoning_content", "reasoning", "thinking"])
  func conversation_thoughts(key: String) throws {
    let asked = #"{"role": "user", "content": "a", "reasoning": 3}"#
    func read(_ keys: String) throws -> Conversation {
      let json = "{\"messages\": [\(asked), {\"role\": \"assistant\", \"content\": \"b\", \(keys)}]}"
      return try Conversation(json: Array(json.utf8), file: "f")
    }
    let expected = try Conversation([Message(.user, "a"), Message(.assistant, "b", reasoning: "WHY")])
    #expect(try read("\"\(key)\": \"WHY\"") == expected)
    #expect(try read("\"\(key)\": \"WHY\", \"reasoning\": \"WHY\", \"thinking\": null") == expected)
  }

  @Test("parts of text are concatenated")
  func conversation_parts() throws {
    let json = """
      {"messages": [{"role": "user", "content": [{"type": "text", "text": "What "}, {"text": "is it?", "type": "text"}]},
       {"role": "assistant", "content": [{"type": "text", "text": "A wave."}], "reasoning": "Hm"},
       {"role": "user", "content": []}]}
      """
    #expect(
      try Conversation(json: Array(json.utf8), file: "f")
        == Conversation([
          Message(.user, "What is it?"), Message(.assistant, "A wave.", reasoning: "Hm"), Message(.user, ""),
        ]))
  }

  @Test("messages may be empty")
  func conversation_empty() throws {
    let json = #"{"messages": [{"role": "system", "content": ""}, {"role": "user", "content": ""}]}"#
    #expect(
      try ChatTemplate.chatML.text(of: Conversation(json: Array(json.utf8), file: "f"))
        == "<|im_start|>system\n<|im_end|>\n<|im_start|>user\n<|im_end|>\n")
  }

  @Test("unread keys may have any value, and canonically equivalent keys differ")
  func conversation_unreadKeys() throws {
    let messages = #""messages": [{"role": "user", "content": "a"}]"#
    for key in [
      #""id": 12345678901234567890"#, #""score": NaN"#, #""x": 1e999"#, #""m": "\ud83d""#, #""\ud83d": 1"#,
      #""m": {"caf\u00e9": 1, "cafe\u0301": 2}"#, #""messages": 3"#,
    ] {
      let json = "{\(key), \(messages)}"
      #expect(try Conversation(json: Array(json.utf8), file: "f") == Conversation([Message(.user, "a")]), "\(key)")
    }
  }

  @Test func json_isRead() throws {
    let json = """
      {"id": 3, "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u", "name": "x"},
       {"role": "assistant", "content": "a", "reasoning_content": "r", "tool_calls": []}], "tools": null}
      """
    let read = try Conversation(json: Array(json.utf8), file: "x")
    #expect(
      try read
        == Conversation([
          Message(.system, "s"), Message(.user, "u", name: "x"), Message(.assistant, "a", reasoning: "r"),
        ]))
  }

  @Test func tokenizer_withoutTurnTokens_isRefused() throws {
    let conversation = try Conversation([Message(.user, "a")])
    let tokenizer = try SmallFile().load()
    #expect(
      message { try tokenizer.encode(conversation) }
        == "the tokenizer has no added token '<|im_start|>': expected one for conversations")
    #expect(message { try Conversation([]) } == "messages is empty: expected at least one")
  }
}
