import Testing
import WidebandCheckedInput

@Suite struct ChatCompletionTests {
  private let path = "/v1/chat/completions"

  private func body(_ members: String, _ content: String = "Hello") -> String {
    #"{"messages": [{"role": "user", "content": "\#(content)"}], "seed": 7, "max_tokens": 12, \#(members)}"#
  }

  @Test func answer_hasShape() async throws {
    try await TestServer.with({ options, _ in options.modelName = "small" }) { server in
      let response = try await server.client.post(path, body(#""unknown": {}, "temperature": 0"#))
      let json = response.json
      #expect(response.status == 200 && response.headers["content-type"] == "application/json; charset=utf-8")
      #expect(json["id"].string?.hasPrefix("chatcmpl-") == true)
      #expect(json["object"] == "chat.completion" && json["model"] == "small")
      #expect((json["created"].integer ?? 0) > 1_000_000_000)
      let choice = json["choices"][0]
      #expect(choice["index"] == 0 && choice["finish_reason"] == "length")
      #expect(choice.has("logprobs") && choice["logprobs"] == .null)
      #expect(choice["message"]["role"] == "assistant")
      let usage = json["usage"]
      #expect(usage["completion_tokens"] == 12 && usage["prompt_tokens_details"]["cached_tokens"] == 0)
      let total = (usage["prompt_tokens"].integer ?? 0) + 12
      #expect(usage["total_tokens"].integer == total && total > 12)
      let again = try await server.client.post(path, body(#""temperature": 0, "model": "gpt""#))
      #expect(again.json["choices"] == json["choices"] && again.json["model"] == "gpt")
    }
  }

  @Test func stream_isTheWholeAnswer() async throws {
    try await TestServer.with { server in
      for members in [#""temperature": 1"#, #""logprobs": true, "top_logprobs": 2"#, #""n": 3"#] {
        let whole = try await server.client.post(path, body(members)).json
        let stream = try await server.client.post(
          path, body(members + #", "stream": true, "stream_options": {"include_usage": true}"#))
        #expect(stream.headers["content-type"] == "text/event-stream; charset=utf-8")
        #expect(stream.events.last == "[DONE]")
        let objects = stream.objects
        #expect(Set(objects.map { $0["id"].string ?? "" }).count == 1)
        #expect(objects.allSatisfy { $0["object"] == "chat.completion.chunk" })
        let end = try #require(objects.last)
        #expect(end["choices"].count == 0 && end["usage"] == whole["usage"])
        for index in 0..<whole["choices"].count {
          let parts = objects.dropLast().map { $0["choices"][0] }.filter { $0["index"].integer == index }
          let choice = whole["choices"][index]
          #expect(parts.first?["delta"]["role"] == "assistant")
          #expect(parts.dropFirst().allSatisfy { !$0["delta"].has("role") })
          let last = try #require(parts.last)
          #expect(last["delta"] == [:] && last["finish_reason"] == choice["finish_reason"])
          #expect(parts.dropLast().allSatisfy { $0.has("finish_reason") && $0["finish_reason"] == .null })
          let text = parts.map { $0["delta"]["content"].string ?? "" }.joined()
          #expect(text == choice["message"]["content"].string)
          let reports = parts.flatMap { part -> [JSONValue] in
            if case .array(let content) = part["logprobs"]["content"] { content } else { [] }
          }
          if members.contains("logprobs") { #expect(.array(reports) == choice["logprobs"]["content"]) }
        }
      }
    }
  }

  @Test func logprobs_haveShape() async throws {
    try await TestServer.with { server in
      let json = try await server.client.post(path, body(#""logprobs": true, "top_logprobs": 3"#)).json
      let content = json["choices"][0]["logprobs"]["content"]
      #expect(content.count == 12)
      #expect(content[0]["top_logprobs"].count == 3 && content[0]["bytes"].count > 0)
      #expect((content[0]["logprob"].number?.double ?? 1) < 0)
    }
  }

  @Test func messages_ofAllKinds() async throws {
    try await TestServer.with { server in
      let messages = #"""
        [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": [{"type": "text", "text": "a"}]},
         {"role": "assistant", "content": null, "tool_calls": [{"id": "call_1", "type": "function",
          "function": {"name": "f", "arguments": "{\"x\": 1}"}}]},
         {"role": "tool", "tool_call_id": "call_1", "content": "2"}]
        """#
      let tools = #"[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]"#
      let known = #"{"messages": \#(messages), "tools": \#(tools), "max_tokens": 1"#
      var counts: [Int] = []
      for members in [
        "", #", "tool_choice": "none""#, #", "enable_thinking": false"#,
        #", "chat_template_kwargs": {"enable_thinking": false, "other": 1}"#, #", "response_format": {"type": "text"}"#,
        #", "stop": null, "n": null, "logit_bias": null"#,
      ] {
        let response = try await server.client.post(path, known + members + "}")
        #expect(response.status == 200, "\(response.text)")
        counts.append(response.json["usage"]["prompt_tokens"].integer ?? 0)
      }
      #expect(counts[1] < counts[0] && counts[2] > counts[0] && counts[3] == counts[2] && counts[4] == counts[0])
    }
  }

  @Test func specialTokensInMessages_areText() async throws {
    try await TestServer.with { server in
      let plain = try await server.client.post(path, body("\"n\": 1", "x")).json["usage"]["prompt_tokens"].integer ?? 0
      let marked = try await server.client.post(path, body("\"n\": 1", "x<|im_end|>")).json["usage"]["prompt_tokens"]
      #expect((marked.integer ?? 0) > plain + 3)
    }
  }
}
