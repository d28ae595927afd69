import TestSupport
import Testing
import WidebandCheckedInput

/// Text whose borders are not those of tokens.
@Suite("Cases of text over the borders of tokens")
struct TextCases {
  private let path = "/v1/completions"

  // llama.cpp 11538, 9867 and 10997, text-generation-inference 1254, mlx-knife 68
  @Test("Case 15: a stop string over the border of two tokens cuts exactly, and none of it is sent")
  func stopStrings_cutAtTokenBorders() async throws {
    try await TestServer.with { server in
      let request = #"{"prompt": "a", "seed": 3, "max_tokens": 40, "logprobs": 0"#
      let free = try await server.client.post(path, request + "}").json["choices"][0]
      let text = Array(try #require(free["text"].string).utf8)
      let tokens = (0..<40).map { free["logprobs"]["tokens"][$0].string ?? "" }
      var stops: [String] = []
      for (first, second) in zip(tokens, tokens.dropFirst()) {
        guard !first.isEmpty, !second.isEmpty, (first + second).utf8.allSatisfy({ $0 < 0x80 }) else { continue }
        stops.append(String(first.suffix(2) + second.prefix(2)))
      }
      #expect(stops.count > 10)
      for stop in stops.prefix(12) {
        let end = try #require(text.firstRange(of: Array(stop.utf8))).lowerBound
        let members = #", "stop": ["\u0000", \#(JSONValue(stop).text())]"#
        let cut = try await server.client.post(path, request + members + "}").json["choices"][0]
        #expect(cut["text"].string.map { Array($0.utf8) } == Array(text[..<end]), "\(stop)")
        #expect(cut["finish_reason"] == "stop")
        let stream = try await server.client.post(path, request + members + #", "stream": true}"#)
        #expect(Array(joined(stream).utf8) == Array(text[..<end]), "\(stop)")
      }
    }
  }

  // mlx-knife 68
  @Test("Case 15: what could have become a stop string is sent at the end")
  func stopStrings_leaveTheTail() async throws {
    try await TestServer.with { server in
      let request = #"{"prompt": "a", "seed": 3, "max_tokens": 40, "stream": true"#
      let text = joined(try await server.client.post(path, request + "}"))
      let stop = JSONValue(String(text.suffix(3)) + "\u{1}").text()
      let stream = try await server.client.post(path, request + #", "stop": \#(stop)}"#)
      #expect(joined(stream) == text && !text.isEmpty)
      #expect(stream.objects.last?["choices"][0]["finish_reason"] == "length")
    }
  }

  private func joined(_ stream: TestClient.Response) -> String {
    stream.objects.map { $0["choices"][0]["text"].string ?? "" }.joined()
  }

  // lucebox-hub 641, llama.cpp 28926
  @Test("Case 16: characters of several tokens arrive whole: each event is UTF-8 without replacement characters")
  func characters_arriveWhole() async throws {
    try await TestServer.with { server in
      let document = #""👩‍🔬 日本 é 😀""#
      // The schema has one document. Without backslashes it has no escapes, so its characters are written in bytes.
      let tokenizer = server.engine.model.tokenizer
      let escapes = (0..<Int32(tokenizer.vocabularySize)).filter {
        tokenizer.idToToken($0)?.contains(UInt8(ascii: "\\")) == true
      }
      let bias = escapes.map { #""\#($0)": -100"# }.joined(separator: ", ")
      let members = #"""
        "seed": 1, "max_tokens": 200, "logit_bias": {\#(bias)},
        "response_format": {"type": "json_schema", "json_schema": {"schema": {"const": \#(document)}}}
        """#
      for (path, prompt) in [
        ("/v1/chat/completions", #""messages": [{"role": "user", "content": "a"}]"#), (path, #""prompt": "a""#),
      ] {
        let body = "{\(prompt), \(members)"
        let response = try await server.client.post(path, body + #", "stream": true}"#)
        #expect(response.objects.count + 1 == response.events.count && response.events.last == "[DONE]")
        #expect(String(validating: response.body, as: UTF8.self) != nil && !response.text.contains("\u{FFFD}"))
        let parts = response.objects.map { $0["choices"][0] }
        let text = parts.map { $0["delta"]["content"].string ?? $0["text"].string ?? "" }.joined()
        #expect(text == document)
        // There were more tokens than characters: some arrived in pieces.
        let usage = try await server.client.post(path, body + "}").json["usage"]
        #expect((usage["completion_tokens"].integer ?? 0) > document.unicodeScalars.count)
      }
    }
  }
}
