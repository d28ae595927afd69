import TestSupport
import Testing
import WidebandCheckedInput

/// What a model's folder or a schema brings with it.
@Suite("Cases of models, schemas and templates")
struct ModelCases {
  private let chatPath = "/v1/chat/completions"

  // sonar 183, sglang 5984
  @Test("Case 30: the log-probability of a token that is impossible is -9999.0, and the answer is JSON")
  func impossibleTokens_haveAFiniteLogprob() async throws {
    try await TestServer.with(model: try SpecialModels.broken()) { server in
      let prompt = #""prompt": [6, \#(SpecialModels.impossibleToken), 7]"#
      let body = #"{\#(prompt), "max_tokens": 0, "echo": true, "logprobs": 1"#
      let whole = try await server.client.post("/v1/completions", body + "}")
      let stream = try await server.client.post("/v1/completions", body + #", "stream": true}"#)
      for choice in [whole.json["choices"][0], stream.objects.first?["choices"][0] ?? .null] {
        let logprobs = choice["logprobs"]["token_logprobs"]
        #expect(logprobs.count == 3 && logprobs[0] == .null && logprobs[1].text() == "-9999.0", "\(choice.text())")
        #expect((logprobs[2].number?.double ?? 1) < 0 && (logprobs[2].number?.double ?? 1) > -9999)
        // The token is among its alternatives, with the same number.
        let token = choice["logprobs"]["tokens"][1].string ?? ""
        #expect(choice["logprobs"]["top_logprobs"][1][token].text() == "-9999.0")
      }
    }
  }

  // llguidance 265, vllm 45592, llama.cpp 4492
  @Test("Case 31: a response_format that is unknown, or a schema with an unsupported keyword, is 400")
  func responseFormats_areNeverIgnored() async throws {
    func schema(_ schema: String) -> String { #"{"type": "json_schema", "json_schema": {"schema": \#(schema)}}"# }
    try await TestServer.with { server in
      for (format, message) in [
        (#"{"type": "poem"}"#, "response_format.type is 'poem'"), (#""json""#, "response_format is 'json'"),
        (#"{"type": "regex", "pattern": "a"}"#, "response_format.type is 'regex'"), ("{}", "type is missing"),
        (#"{"type": "json_schema"}"#, "response_format.json_schema is missing"),
        (#"{"type": "json_schema", "json_schema": {"name": "a"}}"#, "json_schema.schema is missing"),
        (schema(#"{"not": {}}"#), "'not' is not supported"), (schema("7"), "expected a schema"),
        (schema(#"{"dependentSchemas": {}}"#), "'dependentSchemas' is not supported"),
        (schema(#"{"properties": {"a": {"x-order": 1}}}"#), "#/properties/a: 'x-order' is not supported"),
        (schema(#"{"type": "string", "format": "email"}"#), "'format' is not supported with 'email'"),
        (schema(#"{"type": "string", "pattern": "a(?=b)"}"#), "'pattern' is not supported with look-around"),
      ] {
        for (path, prompt) in [
          (chatPath, #""messages": [{"role": "user", "content": "a"}]"#), ("/v1/completions", #""prompt": "a""#),
        ] {
          let body = #"{\#(prompt), "max_tokens": 1, "stream": true, "response_format": \#(format)}"#
          expectInvalid(try await server.client.post(path, body), "response_format", message, format)
        }
      }
      #expect(server.engine.statistics.promptTokens == 0)
      // What is supported holds.
      let format = schema(#"{"const": [true, 12]}"#)
      let answer = try await server.client.post(
        "/v1/completions", #"{"prompt": "a", "seed": 1, "max_tokens": 200, "response_format": \#(format)}"#)
      let text = try #require(answer.json["choices"][0]["text"].string, "\(answer.text)")
      #expect(try JSONValue(parsing: text.utf8, file: "answer") == [true, 12])
    }
  }

  // vllm 52025 and 50300
  @Test("Case 32: a template in a request is 400, and one among the template's arguments is never rendered")
  func requestTemplates_areRefused() async throws {
    try await TestServer.with { server in
      let body = #"{"messages": [{"role": "user", "content": "a"}], "max_tokens": 1"#
      let template = #""{% for i in range(1000000000) %}{{ i }}{% endfor %}""#
      let refused = try await server.client.post(chatPath, body + #", "chat_template": \#(template)}"#)
      expectInvalid(refused, "chat_template", "chat_template is not supported")
      #expect(refused.json["error"]["code"] == "unsupported")
      let plain = try await server.client.post(chatPath, body + "}")
      let argument = try await server.client.post(
        chatPath, body + #", "chat_template_kwargs": {"chat_template": \#(template), "messages": []}}"#)
      #expect(argument.status == 200 && argument.json["usage"] == plain.json["usage"], "\(argument.text)")
    }
  }

  // llama.cpp 24140
  @Test("Case 32: a template of the folder that would never end is an error, and the server answers others")
  func endlessTemplates_areErrors() async throws {
    let template = """
      {% for message in messages %}{% if message.content == 'count' %}{% for i in range(1000000000) %}{{ i }}{% endfor %}\
      {% elif message.content == 'nest' %}{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}\
      {% endfor %}{% elif message.content == 'refuse' %}{{ raise_exception('no questions') }}\
      {% endif %}{{ message.content }}<|im_end|>{% endfor %}
      """
    try await TestServer.with(model: try SpecialModels.templated(template)) { server in
      func answer(_ content: String) async throws -> TestClient.Response {
        try await server.client.post(
          chatPath, #"{"messages": [{"role": "user", "content": "\#(content)"}], "max_tokens": 2, "ignore_eos": true}"#)
      }
      for (content, message) in [("count", "range"), ("nest", "template line"), ("refuse", "no questions")] {
        expectInvalid(try await answer(content), nil, message, content)
      }
      #expect(server.engine.statistics.promptTokens == 0)
      #expect(try await answer("a").json["usage"]["completion_tokens"] == 2)
    }
  }
}
