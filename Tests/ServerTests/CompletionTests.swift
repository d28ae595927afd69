import Testing
import WidebandCheckedInput

@Suite struct CompletionTests {
  private let path = "/v1/completions"

  @Test func prompts_ofAllKinds() async throws {
    try await TestServer.with { server in
      func choices(_ prompt: String, _ members: String = "") async throws -> JSONValue {
        let response = try await server.client.post(
          path, #"{"prompt": \#(prompt), "seed": 1, "max_tokens": 4, "temperature": 0\#(members)}"#)
        #expect(response.status == 200, "\(response.text)")
        return response.json["choices"]
      }
      let tokens = try await server.client.post("/tokenize", #"{"prompt": "Hello there"}"#).json
      let ids = tokens["tokens"].text()
      #expect(tokens["count"].integer == tokens["tokens"].count)
      #expect(try await server.client.post("/detokenize", #"{"tokens": \#(ids)}"#).json == ["prompt": "Hello there"])
      let text = try await choices(#""Hello there""#)
      #expect(try await choices(ids) == text)
      let list = try await choices(#"["Hello there", "And"]"#)
      #expect(list.count == 2 && list[0] == text[0] && list[1]["index"] == 1)
      #expect(try await choices("[\(ids), [5]]")[0] == text[0])
      #expect(try await choices(#"["Hello there", "And"]"#, #", "n": 2"#).count == 4)
    }
  }

  /// What `lm_eval` sends, and reads.
  @Test func echo_reportsThePrompt() async throws {
    try await TestServer.with { server in
      let request = #"{"prompt": [[5, 6, 7], [8, 9]], "max_tokens": 1, "logprobs": 1, "echo": true, "temperature": 0}"#
      let json = try await server.client.post(path, request).json
      #expect(json["object"] == "text_completion" && json["id"].string?.hasPrefix("cmpl-") == true)
      for (index, count) in [4, 3].enumerated() {
        let report = json["choices"][index]["logprobs"]
        #expect(report["tokens"].count == count && report["token_logprobs"].count == count)
        #expect(report["token_logprobs"][0] == .null && report["top_logprobs"][0] == .null)
        #expect(report["token_logprobs"][1].number != nil && report["top_logprobs"][1].count >= 1)
        #expect(report["text_offset"][0] == 0 && report["text_offset"].count == count)
      }
      let zero = try await server.client.post(
        path, #"{"prompt": [5, 6, 7], "max_tokens": 0, "logprobs": 0, "echo": true}"#
      ).json
      #expect(zero["choices"][0]["logprobs"]["tokens"].count == 3 && zero["usage"]["completion_tokens"] == 0)
      let text = try await server.client.post("/detokenize", #"{"tokens": [5, 6, 7]}"#).json["prompt"]
      #expect(zero["choices"][0]["text"] == text)
    }
  }

  @Test func stream_isTheWholeAnswer() async throws {
    try await TestServer.with { server in
      let request = #"{"prompt": "Hello", "seed": 5, "max_tokens": 20, "logprobs": 2, "echo": true"#
      let whole = try await server.client.post(path, request + "}").json["choices"][0]
      let parts = try await server.client.post(path, request + #", "stream": true}"#).objects.map { $0["choices"][0] }
      #expect(parts.map { $0["text"].string ?? "" }.joined() == whole["text"].string)
      for key in ["tokens", "token_logprobs", "top_logprobs", "text_offset"] {
        let joined = parts.flatMap { part -> [JSONValue] in
          if case .array(let elements) = part["logprobs"][key] { elements } else { [] }
        }
        #expect(.array(joined) == whole["logprobs"][key])
      }
      #expect(parts.last?["finish_reason"] == "length" && parts.last?["text"] == "")
    }
  }

  @Test func manySequences_areAllAnswered() async throws {
    try await TestServer.with({ _, serving in serving.queue = 2 }) { server in
      let prompts = (0..<12).map { "[\($0 + 5)]" }.joined(separator: ",")
      let response = try await server.client.post(path, #"{"prompt": [\#(prompts)], "max_tokens": 2}"#)
      #expect(response.status == 200 && response.json["choices"].count == 12)
      #expect(response.json["usage"]["prompt_tokens"] == 12 && response.json["usage"]["completion_tokens"] == 24)
    }
  }
}
