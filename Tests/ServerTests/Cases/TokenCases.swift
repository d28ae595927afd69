import TestSupport
import Testing
import WidebandCheckedInput

/// Ids of tokens from clients, which are indices into a model's memory.
@Suite("Cases of token ids")
struct TokenCases {
  private let path = "/v1/completions"

  // llama.cpp 12178, vllm 17664
  @Test("Case 9: a prompt with an id that the model does not have is 400; one with the last id is answered")
  func promptIDs_areChecked() async throws {
    try await TestServer.with { server in
      let size = server.engine.model.model.configuration.vocabularySize
      for (prompt, place) in [
        ("[-1]", "prompt[0] is -1"), ("[\(size)]", "prompt[0] is \(size)"), ("[5, \(size)]", "prompt[1] is \(size)"),
        ("[[5], [6, -1]]", "prompt[1][1] is -1"), ("[9999999999]", "prompt[0] is 9999999999"),
        ("[1e30]", "prompt[0] is 1e30"), ("[1.5]", "prompt[0] is 1.5"), ("[true]", "prompt[0] is true"),
      ] {
        expectInvalid(
          try await server.client.post(path, #"{"prompt": \#(prompt), "max_tokens": 1}"#), "prompt", place, prompt)
      }
      for id in [-1, size] {
        expectInvalid(try await server.client.post("/detokenize", #"{"tokens": [\#(id)]}"#), "tokens", "tokens[0]")
      }
      #expect(server.engine.statistics.promptTokens == 0)
      let last = try await server.client.post(path, #"{"prompt": [0, \#(size - 1)], "max_tokens": 1}"#)
      #expect(last.status == 200 && last.json["usage"]["prompt_tokens"] == 2, "\(last.text)")
    }
  }

  @Test("stop_token_ids end an answer as its end token does, and not before min_tokens")
  func stopIDs_endTheAnswer() async throws {
    try await TestServer.with { server in
      func answer(_ members: String) async throws -> JSONValue {
        try await server.client.post(
          path,
          #"{"prompt": "a", "temperature": 0, "max_tokens": 9, "logit_bias": {"77": 100}, "ignore_eos": true\#(members)}"#
        ).json
      }
      let free = try await answer("")
      #expect(free["choices"][0]["finish_reason"] == "length" && free["usage"]["completion_tokens"] == 9)
      let stopped = try await answer(#", "stop_token_ids": [5, 77]"#)
      #expect(stopped["choices"][0]["finish_reason"] == "stop" && stopped["choices"][0]["text"] == "")
      #expect(stopped["usage"]["completion_tokens"] == 1)
      let later = try await answer(#", "stop_token_ids": [77], "min_tokens": 3"#)
      #expect(later["choices"][0]["finish_reason"] == "stop" && later["usage"]["completion_tokens"] == 4)
    }
  }

  // vllm 5963, 16529 and 1045
  @Test("Case 10: logit_bias with a word or an id that the model does not have is 400; an empty one changes nothing")
  func biasIDs_areChecked() async throws {
    try await TestServer.with { server in
      let size = server.engine.model.model.configuration.vocabularySize
      func answer(_ bias: String) async throws -> TestClient.Response {
        try await server.client.post(
          path, #"{"prompt": "a", "temperature": 0, "max_tokens": 4, "ignore_eos": true\#(bias)}"#)
      }
      for (bias, message) in [
        (#"{"AI": -100}"#, "logit_bias.AI is -100"), (#"{"5.0": 1}"#, "logit_bias.5.0 is 1"),
        (#"{"+5": 1}"#, "logit_bias.+5 is 1"),
        (#"{"99999999999": 1}"#, "logit_bias.99999999999 is 1"), (#"{"\#(size)": 1}"#, "token \(size)"),
        (#"{"-1": 1}"#, "token -1"), (#"{"5": -101}"#, "logit_bias.5 is -101"),
      ] {
        let response = try await answer(#", "logit_bias": \#(bias)"#)
        #expect(response.status == 400 && response.json["error"]["param"] == "logit_bias", "\(bias): \(response.text)")
        #expect(response.json["error"]["message"].string?.contains(message) == true, "\(response.text)")
      }
      let plain = try await answer("").json["choices"]
      #expect(try await answer(#", "logit_bias": {}"#).json["choices"] == plain)
      // Valid ids, the last one of the vocabulary included, decide.
      let text = try await server.client.post("/detokenize", #"{"tokens": [77, 77, 77, 77]}"#).json["prompt"]
      let biased = try await answer(#", "logit_bias": {"77": 100, "\#(size - 1)": -100}"#).json["choices"][0]
      #expect(biased["text"] == text && biased["text"] != plain[0]["text"])
    }
  }
}
