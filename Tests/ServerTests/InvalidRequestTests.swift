import TestSupport
import Testing
import WidebandCheckedInput

/// Requests that a server must refuse with one sentence; those that broke other servers are in `Cases`.
@Suite struct InvalidRequestTests {
  /// Further members for a valid chat.
  static let members: [(members: String, parameter: String)] = [
    (#""stream_options": 1"#, "stream_options"), (#""n": 1.5"#, "n"), (#""max_tokens": "many""#, "max_tokens"),
    (#""max_completion_tokens": []"#, "max_completion_tokens"),
    (#""temperature": -1"#, "temperature"), (#""temperature": "hot""#, "temperature"), (#""top_p": 2"#, "top_p"),
    (#""top_k": 0.5"#, "top_k"), (#""min_p": -1"#, "min_p"), (#""repetition_penalty": 0"#, "repetition_penalty"),
    (#""seed": "x""#, "seed"), (#""seed": 1e40"#, "seed"), (#""presence_penalty": 3"#, "presence_penalty"),
    (#""frequency_penalty": NaN"#, "frequency_penalty"), (#""logit_bias": []"#, "logit_bias"),
    (#""stop": """#, "stop"), (#""stop": [1]"#, "stop"), (#""stop": 1"#, "stop"),
    (#""stop": ["a","b","c","d","e","f","g","h","i","j","k","l","m","n","o","p","q"]"#, "stop"),
    (#""stop_token_ids": 1"#, "stop_token_ids"), (#""stop_token_ids": ["a"]"#, "stop_token_ids"),
    (#""stop_token_ids": [-1]"#, "stop_token_ids"), (#""stop_token_ids": [1.5]"#, "stop_token_ids"),
    (#""stop_token_ids": [2147483647]"#, "stop_token_ids"), (#""stop_token_ids": [2147483648]"#, "stop_token_ids"),
    ("\"stop_token_ids\": \(Array(repeating: 1, count: 65))", "stop_token_ids"),
    (#""min_tokens": -1"#, "min_tokens"), (#""min_tokens": "two""#, "min_tokens"),
    (#""min_tokens": 1.5"#, "min_tokens"), (#""max_tokens": 2, "min_tokens": 3"#, "min_tokens"),
    (#""logprobs": 1"#, "logprobs"), (#""logprobs": true, "top_logprobs": 21"#, "top_logprobs"),
    (#""top_logprobs": 2"#, "top_logprobs"), (#""ignore_eos": 1"#, "ignore_eos"), (#""model": 1"#, "model"),
    (#""tools": {}"#, "tools"), (#""tools": [{"type": "web"}]"#, "tools"),
    (#""tools": [{"type": "function"}]"#, "tools"),
    (#""tool_choice": "required""#, "tool_choice"), (#""tool_choice": {"type": "function"}"#, "tool_choice"),
    (#""tool_choice": 1"#, "tool_choice"), (#""enable_thinking": "no""#, "enable_thinking"),
    (#""chat_template_kwargs": {"enable_thinking": 1}"#, "chat_template_kwargs"),
  ]

  /// Members that would change the answer, and are not supported.
  static let unsupported = [
    #""best_of": 2"#, #""functions": []"#, #""function_call": "auto""#,
    #""continue_final_message": true"#, #""add_generation_prompt": false"#,
  ]

  /// Bodies for completions.
  static let completions: [(body: String, parameter: String?)] = [
    (#"{"prompt": []}"#, "prompt"), (#"{"prompt": [[1], "a"]}"#, "prompt"), (#"{"prompt": {}}"#, "prompt"),
    (#"{"prompt": [[]]}"#, "prompt"), (#"{}"#, "prompt"),
    (#"{"prompt": "a", "suffix": "b"}"#, "suffix"), (#"{"prompt": "a", "logprobs": true}"#, "logprobs"),
    (#"{"prompt": "a", "logprobs": 21}"#, "logprobs"), (#"{"prompt": "a", "echo": 1}"#, "echo"),
  ]

  @Test func invalidBodies_are400AndNamed() async throws {
    try await TestServer.with { server in
      for (members, parameter) in Self.members {
        let body = #"{"messages": [{"role": "user", "content": "a"}], \#(members)}"#
        expectInvalid(try await server.client.post("/v1/chat/completions", body), parameter, "", body)
      }
      for member in Self.unsupported {
        let body = #"{"messages": [{"role": "user", "content": "a"}], \#(member)}"#
        let name = member.split(separator: "\"").first.map(String.init)
        expectInvalid(try await server.client.post("/v1/chat/completions", body), name, "is not supported", body)
      }
      let harmless = #"""
        {"messages": [{"role": "user", "content": "a"}], "max_tokens": 1, "stop_token_ids": null, "min_tokens": 0,
         "best_of": 1, "continue_final_message": false, "add_generation_prompt": true, "parallel_tool_calls": false}
        """#
      #expect(try await server.client.post("/v1/chat/completions", harmless).status == 200)
      for (body, parameter) in Self.completions {
        expectInvalid(try await server.client.post("/v1/completions", body), parameter, "", body)
      }
      #expect(server.engine.isAlive)
      #expect(try await server.client.post("/v1/completions", #"{"prompt": "a", "max_tokens": 1}"#).status == 200)
    }
  }

  @Test func largeBodies_are413() async throws {
    try await TestServer.with { server in
      let announced =
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 999999999\r\n\r\n"
      let response = try await server.client.send(Array(announced.utf8))
      #expect(response.status == 413 && response.json["error"]["code"] == "too_large")
      let head =
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
      let size = (16 << 20) + 1
      let chunk = Array((head + String(size, radix: 16) + "\r\n").utf8) + [UInt8](repeating: 0x20, count: size)
      #expect(try await server.client.send(chunk + Array("\r\n0\r\n\r\n".utf8)).status == 413)
    }
  }
}
