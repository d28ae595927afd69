import TestSupport
import Testing
import WidebandCheckedInput

/// Requests that a server must refuse with one sentence, whatever it does with others.
@Suite struct InvalidRequestTests {
  private static let deep = String(repeating: "[", count: 10_000)

  /// Bodies for the chat, with the parameter that is named and a part of the message.
  static let chats: [(body: String, parameter: String?, message: String)] = [
    ("", nil, "malformed JSON"),
    ("{:", nil, "malformed JSON"),
    ("[]", nil, "the document is a list: expected an object"),
    ("{} x", nil, "text after the end of the document"),
    (#"{"other": \#(deep)}"#, nil, "more than 128 levels"),
    (#"{"messages": [{"role": "user", "content": "a"}], "tools": \#(deep)}"#, nil, "more than 128 levels"),
    ("{}", "messages", "messages is missing"),
    (#"{"messages": null}"#, "messages", "messages is missing"),
    (#"{"messages": "x"}"#, "messages", "messages is 'x': expected a list"),
    (#"{"messages": []}"#, "messages", "messages is empty"),
    (#"{"messages": [123]}"#, "messages", "messages[0] is 123: expected an object"),
    (#"{"messages": [{}]}"#, "messages", "messages[0].role is missing"),
    (#"{"messages": [{"role": 1, "content": "a"}]}"#, "messages", "messages[0].role is 1: expected a string"),
    (#"{"messages": [{"role": "pirate", "content": "a"}]}"#, "messages", "messages[0].role is 'pirate'"),
    (#"{"messages": [{"role": "user", "content": 1}]}"#, "messages", "messages[0].content is 1"),
    (#"{"messages": [{"role": "user", "content": null}]}"#, "messages", "messages[0].content is missing"),
    (#"{"messages": [{"role": "user", "content": "\ud800"}]}"#, "messages", "half of a surrogate pair"),
    (
      #"{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}"#, "messages",
      "messages[0].content[0].type is 'image_url'"
    ),
  ]

  /// Further members for a valid chat.
  static let members: [(members: String, parameter: String)] = [
    (#""stream": "true""#, "stream"), (#""stream_options": 1"#, "stream_options"), (#""n": 0"#, "n"),
    (#""n": 1000000"#, "n"), (#""n": 1.5"#, "n"), (#""max_tokens": -1"#, "max_tokens"),
    (#""max_tokens": "many""#, "max_tokens"), (#""max_completion_tokens": 1e12"#, "max_completion_tokens"),
    (#""temperature": -1"#, "temperature"), (#""temperature": "hot""#, "temperature"), (#""top_p": 2"#, "top_p"),
    (#""top_k": 0.5"#, "top_k"), (#""min_p": -1"#, "min_p"), (#""repetition_penalty": 0"#, "repetition_penalty"),
    (#""seed": "x""#, "seed"), (#""seed": 1e40"#, "seed"), (#""presence_penalty": 3"#, "presence_penalty"),
    (#""frequency_penalty": NaN"#, "frequency_penalty"), (#""logit_bias": {"AI": -100}"#, "logit_bias"),
    (#""logit_bias": {"5": -101}"#, "logit_bias"), (#""logit_bias": []"#, "logit_bias"),
    (#""stop": """#, "stop"), (#""stop": [1]"#, "stop"), (#""stop": 1"#, "stop"),
    (#""stop": ["a","b","c","d","e","f","g","h","i","j","k","l","m","n","o","p","q"]"#, "stop"),
    (#""logprobs": 1"#, "logprobs"), (#""logprobs": true, "top_logprobs": -1"#, "top_logprobs"),
    (#""logprobs": true, "top_logprobs": 21"#, "top_logprobs"), (#""top_logprobs": 2"#, "top_logprobs"),
    (#""ignore_eos": 1"#, "ignore_eos"), (#""model": 1"#, "model"), (#""tools": {}"#, "tools"),
    (#""tools": [{"type": "web"}]"#, "tools"), (#""tools": [{"type": "function"}]"#, "tools"),
    (#""tool_choice": "required""#, "tool_choice"), (#""tool_choice": {"type": "function"}"#, "tool_choice"),
    (#""tool_choice": 1"#, "tool_choice"), (#""response_format": {}"#, "response_format"),
    (#""response_format": {"type": "json_schema"}"#, "response_format"),
    (
      #""response_format": {"type": "json_schema", "json_schema": {"schema": {"dependentSchemas": {}}}}"#,
      "response_format"
    ),
    (#""response_format": {"type": "poem"}"#, "response_format"), (#""response_format": "text""#, "response_format"),
    (#""chat_template": "{{ 1 }}""#, "chat_template"), (#""enable_thinking": "no""#, "enable_thinking"),
    (#""chat_template_kwargs": {"enable_thinking": 1}"#, "chat_template_kwargs"),
  ]

  /// Bodies for completions.
  static let completions: [(body: String, parameter: String?)] = [
    (#"{"prompt": []}"#, "prompt"), (#"{"prompt": [-1]}"#, "prompt"), (#"{"prompt": [3005]}"#, "prompt"),
    (#"{"prompt": [[1], "a"]}"#, "prompt"), (#"{"prompt": [true]}"#, "prompt"), (#"{"prompt": {}}"#, "prompt"),
    (#"{"prompt": [1.5]}"#, "prompt"), (#"{"prompt": [[]]}"#, nil), (#"{}"#, "prompt"),
    (#"{"prompt": "a", "suffix": "b"}"#, "suffix"), (#"{"prompt": "a", "logprobs": true}"#, "logprobs"),
    (#"{"prompt": "a", "logprobs": 21}"#, "logprobs"), (#"{"prompt": "a", "echo": 1}"#, "echo"),
    (#"{"prompt": "a", "logit_bias": {"3005": 1}}"#, nil), (#"{"prompt": "a", "logit_bias": {"-1": 1}}"#, nil),
  ]

  @Test func invalidBodies_are400AndNamed() async throws {
    try await TestServer.with { server in
      for (body, parameter, message) in Self.chats {
        let response = try await server.client.post("/v1/chat/completions", body)
        expect(response, parameter, body)
        #expect(response.json["error"]["message"].string?.contains(message) == true, "\(response.text)")
      }
      for (members, parameter) in Self.members {
        let body = #"{"messages": [{"role": "user", "content": "a"}], \#(members)}"#
        expect(try await server.client.post("/v1/chat/completions", body), parameter, body)
      }
      for (body, parameter) in Self.completions {
        expect(try await server.client.post("/v1/completions", body), parameter, body)
      }
      #expect(server.engine.isAlive)
      #expect(try await server.client.post("/v1/completions", #"{"prompt": "a", "max_tokens": 1}"#).status == 200)
    }
  }

  private func expect(_ response: TestClient.Response, _ parameter: String?, _ body: String) {
    #expect(response.status == 400, "\(body.prefix(80)): \(response.text)")
    let error = response.json["error"]
    #expect(error["type"] == "invalid_request_error")
    #expect(error["param"] == JSONValue(parameter), "\(body.prefix(80)): \(response.text)")
  }

  @Test func invalidUTF8_isRefusedWithoutEcho() async throws {
    try await TestServer.with { server in
      let body = Array(#"{"prompt": ""#.utf8) + [0xC4, 0xE3] + Array(#""}"#.utf8)
      let response = try await server.client.send(server.client.request("POST", "/v1/completions", [:], body))
      #expect(response.status == 400)
      #expect(response.json["error"]["message"] == "request body: is not UTF-8")
    }
  }

  @Test func contextExceeded_namesBothNumbers() async throws {
    try await TestServer.with({ _, serving in serving.context = 32 }) { server in
      let list = Array(repeating: "5", count: 40).joined(separator: ",")
      for stream in ["false", "true"] {
        let response = try await server.client.post("/v1/completions", #"{"prompt": [\#(list)], "stream": \#(stream)}"#)
        #expect(response.status == 400)
        #expect(response.json["error"]["code"] == "context_length_exceeded")
        let message = response.json["error"]["message"].string ?? ""
        #expect(message.contains("40") && message.contains("32"))
      }
      let whole = try await server.client.post("/v1/completions", #"{"prompt": [1,2], "max_tokens": 31}"#)
      #expect(whole.json["error"]["code"] == "context_length_exceeded")
    }
  }

  @Test func largeBodies_are413() async throws {
    try await TestServer.with { server in
      let announced =
        "POST /v1/completions HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 999999999\r\n\r\n"
      let response = try await server.client.send(Array(announced.utf8))
      #expect(response.status == 413 && response.json["error"]["code"] == "too_large")
      let head = "POST /v1/completions HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
      let size = (16 << 20) + 1
      let chunk = Array((head + String(size, radix: 16) + "\r\n").utf8) + [UInt8](repeating: 0x20, count: size)
      #expect(try await server.client.send(chunk + Array("\r\n0\r\n\r\n".utf8)).status == 413)
    }
  }

  @Test func log_hasNoText() async throws {
    try await TestServer.with { server in
      _ = try await server.client.post("/v1/completions", #"{"prompt": "secret", "max_tokens": 2}"#)
      _ = try await server.client.post("/v1/completions", #"{"prompt": {"secret": 1}}"#)
      _ = try await server.client.get("/no%0Asuch\u{1B}[31m")
      _ = try await server.wait { _ in server.log.all.count >= 2 }
      #expect(server.log.all.count >= 2)
      for line in server.log.all {
        #expect(!line.contains("secret") && line.unicodeScalars.allSatisfy { $0.value >= 0x20 }, "\(line)")
      }
    }
  }
}
