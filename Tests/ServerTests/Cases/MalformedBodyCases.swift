import Testing
import WidebandCheckedInput

/// Bodies that crashed other servers, or that they took for something else. Issues are those of the projects named.
@Suite("Cases of malformed bodies")
struct MalformedBodyCases {
  private static let paths = ["/v1/chat/completions", "/v1/completions", "/tokenize", "/detokenize"]

  /// Sends bodies to the chat, and a valid one at the end, which a server must still answer.
  private func check(_ bodies: [(body: [UInt8], parameter: String?, message: String)]) async throws {
    try await TestServer.with { server in
      for (body, parameter, message) in bodies {
        let response = try await server.client.send(server.client.request("POST", Self.paths[0], [:], body))
        expectInvalid(response, parameter, message, String(decoding: body, as: UTF8.self))
      }
      #expect(server.engine.isAlive && server.engine.statistics.promptTokens == 0)
      let valid = try await server.client.post(
        Self.paths[0], #"{"messages": [{"role": "user", "content": "a"}], "max_tokens": 1}"#)
      #expect(valid.status == 200, "\(valid.text)")
    }
  }

  // llamafile 116, llama.cpp 11738
  @Test("Case 1: a body that is empty, broken off or no object is 400 at every address")
  func brokenJSON_is400() async throws {
    try await TestServer.with { server in
      for path in Self.paths {
        for (body, message) in [
          ("", "malformed JSON"), ("{:", "malformed JSON"), (#"{"prompt": "a""#, "malformed JSON"),
          ("[]", "the document is a list: expected an object"), ("{} x", "text after the end of the document"),
        ] {
          expectInvalid(try await server.client.post(path, body), nil, message, "\(path) \(body)")
        }
      }
      #expect(try await server.client.post("/tokenize", #"{"prompt": "a"}"#).status == 200)
    }
  }

  // llamafile 160
  @Test("Case 2: stream as a string is 400 that names the field, whole and not as events")
  func streamAsString_is400() async throws {
    try await TestServer.with { server in
      for (path, members) in [
        (Self.paths[0], #""messages": [{"role": "user", "content": "a"}]"#), (Self.paths[1], #""prompt": "a""#),
      ] {
        for value in [#""true""#, #""false""#, "1", "[]"] {
          let response = try await server.client.post(path, #"{\#(members), "stream": \#(value)}"#)
          expectInvalid(response, "stream", "stream is ", value)
          #expect(response.headers["content-type"] == "application/json; charset=utf-8")
        }
      }
    }
  }

  // llama.cpp 6396, 9195 and 9210
  @Test("Case 3: text in another encoding, or with half of a surrogate pair, is 400 without the text")
  func invalidUTF8_isRefusedWithoutEcho() async throws {
    func message(_ content: [UInt8]) -> [UInt8] {
      Array(#"{"messages": [{"role": "user", "content": "secret "#.utf8) + content + Array(#""}]}"#.utf8)
    }
    let half = "half of a surrogate pair"
    try await check([
      // "你" in GBK, half of a pair in UTF-8, the beginning of a character, a byte that UTF-8 does not have.
      (message([0xC4, 0xE3]), nil, "is not UTF-8"), (message([0xED, 0xA0, 0xBD]), nil, "is not UTF-8"),
      (message([0xF0, 0x9F]), nil, "is not UTF-8"), (message([0xFF]), nil, "is not UTF-8"),
      (message(Array(#"\ud83d"#.utf8)), "messages", half), (message(Array(#"\ude00 \ud83d"#.utf8)), "messages", half),
    ])
    try await TestServer.with { server in
      let body = Array(#"{"prompt": "secret "#.utf8) + [0xC4, 0xE3] + Array(#""}"#.utf8)
      let response = try await server.client.send(server.client.request("POST", Self.paths[1], [:], body))
      #expect(response.status == 400)
      #expect(!response.body.contains(0xC4) && !response.text.contains("secret"), "\(response.text)")
    }
  }

  // ds4 43, llama.cpp 27434
  @Test("Case 4: 10,000 levels in a field, known or unknown, are 400")
  func deepJSON_is400() async throws {
    let chat = #"{"messages": [{"role": "user", "content": "a"}], "#
    let lists = String(repeating: "[", count: 10_000)
    let objects = String(repeating: #"{"a": "#, count: 10_000)
    let bodies = [
      chat + #""other": "# + lists, chat + #""tools": "# + lists + String(repeating: "]", count: 10_000) + "}",
      chat + #""other": "# + objects + "1" + String(repeating: "}", count: 10_001), lists,
    ]
    try await check(bodies.map { (Array($0.utf8), nil, "more than 128 levels") })
  }

  // vllm 17038, letta 3381
  @Test("Case 5: messages that are none, and members of other types, are 400 that names their place")
  func invalidMessages_areNamed() async throws {
    let cases: [(members: String, message: String)] = [
      ("", "messages is missing"),
      (#""messages": null"#, "messages is missing"),
      (#""messages": "x""#, "messages is 'x': expected a list"),
      (#""messages": []"#, "messages is empty"),
      (#""messages": [123]"#, "messages[0] is 123: expected an object"),
      (#""messages": [null]"#, "messages[0] is null: expected an object"),
      (#""messages": [{}]"#, "messages[0].role is missing"),
      (#""messages": [{"role": 123, "content": "a"}]"#, "messages[0].role is 123: expected a string"),
      (#""messages": [{"role": "user", "content": 123}]"#, "messages[0].content is 123"),
      (#""messages": [{"role": "user", "content": null}]"#, "messages[0].content is missing"),
      (#""messages": [{"role": "user", "content": "a"}, {"role": "user"}]"#, "messages[1].content is missing"),
    ]
    try await check(cases.map { (Array("{\($0.members)}".utf8), "messages", $0.message) })
  }
}
