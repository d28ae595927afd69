import TestSupport
import Testing
import WidebandCheckedInput

/// Messages that clients send and that other servers refused or misread.
@Suite("Cases of messages")
struct MessageCases {
  /// Sends messages, and asks for a few tokens that the prompt and the seed decide.
  private func answer(_ server: TestServer, _ messages: String, _ members: String = "") async throws
    -> TestClient.Response
  {
    try await server.client.post(
      "/v1/chat/completions", #"{"messages": \#(messages), "seed": 7, "max_tokens": 8\#(members)}"#)
  }

  /// Expects two conversations to have the same prompt, as far as an answer shows it.
  private func expectSame(_ server: TestServer, _ first: String, _ second: String) async throws {
    let answers = [try await answer(server, first), try await answer(server, second)]
    for answer in answers { #expect(answer.status == 200, "\(answer.text)") }
    #expect(answers[0].json["usage"] == answers[1].json["usage"], "\(first), \(second)")
    #expect(answers[0].json["choices"] == answers[1].json["choices"], "\(first), \(second)")
  }

  // lmstudio-bug-tracker 261
  @Test("Case 6: an assistant's message without content, but with calls of tools, is answered")
  func callsWithoutContent_areAnswered() async throws {
    try await TestServer.with { server in
      func messages(_ content: String, _ arguments: String = #""{\"x\": 1}""#) -> String {
        #"""
        [{"role": "user", "content": "a"}, {"role": "assistant", \#(content)"tool_calls": [{"id": "call_1",
         "type": "function", "function": {"name": "f", "arguments": \#(arguments)}}]},
         {"role": "tool", "tool_call_id": "call_1", "content": "2"}]
        """#
      }
      let null = try await answer(server, messages(#""content": null, "#))
      #expect(null.status == 200 && null.json["usage"]["completion_tokens"] == 8, "\(null.text)")
      try await expectSame(server, messages(#""content": null, "#), messages(#""content": "", "#))
      try await expectSame(server, messages(#""content": null, "#), messages(""))
      // The arguments are part of the prompt.
      let other = try await answer(server, messages(#""content": null, "#, #""{}""#))
      #expect((other.json["usage"]["prompt_tokens"].integer ?? 0) < (null.json["usage"]["prompt_tokens"].integer ?? 0))
    }
  }

  // halogen-flash-server 32
  @Test("Case 7: a developer's message is the system's; other roles are 400")
  func developer_isSystem() async throws {
    try await TestServer.with { server in
      func messages(_ role: String) -> String {
        #"[{"role": "\#(role)", "content": "Be kind."}, {"role": "user", "content": "a"}]"#
      }
      try await expectSame(server, messages("developer"), messages("system"))
      for role in ["pirate", "", "User", "function"] {
        expectInvalid(try await answer(server, messages(role)), "messages", "messages[0].role is '\(role)'")
      }
    }
  }

  @Test("Case 8: parts of text are joined; a part that is no text is 400 by its name")
  func parts_areJoined() async throws {
    try await TestServer.with { server in
      func messages(_ content: String) -> String { #"[{"role": "user", "content": \#(content)}]"# }
      let parts = #"[{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]"#
      try await expectSame(server, messages(parts), messages(#""Hello""#))
      for (type, member) in [("image_url", #""image_url": {"url": "data:"}"#), ("input_audio", #""input_audio": {}"#)] {
        let content = #"[{"type": "text", "text": "a"}, {"type": "\#(type)", \#(member)}]"#
        expectInvalid(
          try await answer(server, messages(content)), "messages", "messages[0].content[1].type is '\(type)'")
      }
    }
  }
}
