import Testing
import WidebandCheckedInput

/// Numbers that are too large, and those that a client means exactly.
@Suite("Cases of limits")
struct LimitCases {
  private let chat = #"{"messages": [{"role": "user", "content": "a"}], "seed": 7, "ignore_eos": true"#
  private let chatPath = "/v1/chat/completions"
  private let path = "/v1/completions"

  // llama.cpp 10380, 17284 and 15780
  @Test("Case 11: a prompt beyond the context is 400 with both numbers, before a stream begins")
  func contextExceeded_namesBothNumbers() async throws {
    try await TestServer.with({ _, serving in serving.context = 32 }) { server in
      let ids = Array(repeating: "5", count: 40).joined(separator: ",")
      for stream in ["false", "true"] {
        for (path, body, numbers) in [
          (path, #"{"prompt": [\#(ids)], "max_tokens": 3"#, ["40 tokens", "32"]),
          (path, #"{"prompt": [1, 2], "max_tokens": 31"#, ["2 tokens", "31 more", "32"]),
          (path, #"{"prompt": [[1], [\#(ids)]], "max_tokens": 1"#, ["40 tokens", "32"]),
          (chatPath, chat + #", "max_tokens": 30"#, ["30 more", "32"]),
        ] {
          let response = try await server.client.post(path, body + #", "stream": \#(stream)}"#)
          expectInvalid(response, nil, "", body)
          #expect(response.json["error"]["code"] == "context_length_exceeded")
          #expect(response.headers["content-type"] == "application/json; charset=utf-8")
          let message = response.json["error"]["message"].string ?? ""
          for number in numbers { #expect(message.contains(number), "\(message)") }
        }
      }
      #expect(server.engine.statistics.promptTokens == 0)
      // One that fills the context to its end is answered.
      let full = try await server.client.post(path, #"{"prompt": [1, 2], "max_tokens": 30}"#)
      #expect(full.status == 200 && full.json["usage"]["total_tokens"] == 32, "\(full.text)")
    }
  }

  // llama.cpp 4047, vllm 6521
  @Test("Case 12: max_tokens 0, 1 and 2 give as many tokens; a negative number is 400")
  func maximumTokens_areExact() async throws {
    try await TestServer.with { server in
      for count in 0...2 {
        for (path, body) in [(chatPath, chat), (path, #"{"prompt": "a", "seed": 7, "ignore_eos": true"#)] {
          let request = body + #", "max_tokens": \#(count)"#
          let whole = try await server.client.post(path, request + "}").json
          #expect(whole["usage"]["completion_tokens"].integer == count)
          #expect(whole["choices"][0]["finish_reason"] == "length")
          let stream = try await server.client.post(
            path, request + #", "stream": true, "stream_options": {"include_usage": true}}"#)
          #expect(stream.objects.last?["usage"]["completion_tokens"].integer == count && stream.events.last == "[DONE]")
        }
      }
      // A prompt alone is no text.
      let none = try await server.client.post(path, #"{"prompt": "a", "max_tokens": 0}"#).json
      #expect(none["choices"][0]["text"] == "")
      for (body, name) in [(chat, "max_tokens"), (chat, "max_completion_tokens")] {
        for value in ["-1", "1.5", #""2""#] {
          expectInvalid(
            try await server.client.post(chatPath, body + #", "\#(name)": \#(value)}"#), name, "expected a number",
            value)
        }
      }
    }
  }

  // llama.cpp 13700
  @Test("Case 13: max_completion_tokens counts, also where max_tokens is another number")
  func maximumCompletionTokens_count() async throws {
    try await TestServer.with { server in
      for (path, body) in [(chatPath, chat), (path, #"{"prompt": "a", "ignore_eos": true"#)] {
        for members in [#""max_completion_tokens": 3"#, #""max_completion_tokens": 3, "max_tokens": 9"#] {
          let response = try await server.client.post(path, body + ", \(members)}")
          #expect(response.json["usage"]["completion_tokens"] == 3, "\(members): \(response.text)")
        }
      }
    }
  }

  // gpt4all 3635, vllm 264 of local-inference-lab
  @Test("Case 14: numbers far beyond what a server can do are 400, and nothing is computed for them")
  func hugeNumbers_areRefused() async throws {
    try await TestServer.with { server in
      for (members, parameter) in [
        (#""n": 1000000"#, "n"), (#""n": -1"#, "n"), (#""n": 0"#, "n"), (#""n": 1e30"#, "n"),
        (#""max_tokens": 1000000000000"#, "max_tokens"), (#""max_tokens": 9223372036854775808"#, "max_tokens"),
        (#""max_completion_tokens": 1e12"#, "max_completion_tokens"), (#""max_tokens": 2147483647"#, nil),
        (#""logprobs": true, "top_logprobs": -1"#, "top_logprobs"),
        (#""logprobs": true, "top_logprobs": 1000000000"#, "top_logprobs"), (#""top_k": 1e15"#, "top_k"),
      ] {
        expectInvalid(try await server.client.post(chatPath, chat + ", \(members)}"), parameter, "expected", members)
      }
      // As many choices by many prompts.
      let prompts = Array(repeating: "[5]", count: 1025).joined(separator: ",")
      expectInvalid(
        try await server.client.post(path, #"{"prompt": [\#(prompts)], "max_tokens": 1}"#), "prompt", "1024 choices")
      let hundred = Array(repeating: "[5]", count: 100).joined(separator: ",")
      expectInvalid(
        try await server.client.post(path, #"{"prompt": [\#(hundred)], "n": 16, "max_tokens": 1}"#), "prompt",
        "1024 choices")
      expectInvalid(
        try await server.client.post(path, #"{"prompt": "a", "logprobs": -1}"#), "logprobs", "expected a number")
      let statistics = server.engine.statistics
      #expect(statistics.promptTokens == 0 && statistics.cachePositions == 0)
    }
  }
}
