import Testing
import WidebandCheckedInput

/// The events of a stream, from its headers to its end.
@Suite("Cases of streams")
struct StreamCases {
  private let path = "/v1/completions"

  // llama.cpp 15444, cortex.cpp 265
  @Test("Case 24: include_usage adds one event with usage and without choices, and only where it is asked for")
  func usage_hasItsOwnEvent() async throws {
    try await TestServer.with { server in
      for (path, prompt) in [
        ("/v1/chat/completions", #""messages": [{"role": "user", "content": "a"}]"#), (path, #""prompt": [5, 6]"#),
      ] {
        let body = #"{\#(prompt), "max_tokens": 5, "n": 2, "ignore_eos": true, "stream": true"#
        let asked = try await server.client.post(path, body + #", "stream_options": {"include_usage": true}}"#)
        #expect(asked.events.last == "[DONE]")
        let end = try #require(asked.objects.last)
        #expect(end["choices"] == [] && end["usage"]["completion_tokens"] == 10)
        #expect(end["id"] == asked.objects[0]["id"] && end["object"] == asked.objects[0]["object"])
        #expect(asked.objects.dropLast().allSatisfy { $0["choices"].count == 1 && !$0.has("usage") })
        for options in ["", #", "stream_options": {"include_usage": false}"#, #", "stream_options": null"#] {
          let plain = try await server.client.post(path, body + options + "}")
          #expect(plain.objects.allSatisfy { $0["choices"].count == 1 && !$0.has("usage") }, "\(options)")
          #expect(plain.events.last == "[DONE]")
        }
      }
    }
  }

  // llama.cpp 24013 and 25241, mlx-lm 362, vllm 47647
  @Test("Case 25: a stream whose prompt waits has headers at once, and comments while nothing else is sent")
  func silence_isFilledWithComments() async throws {
    try await TestServer.with({ options, serving in
      options.keepAlive = .milliseconds(20)
      (serving.parallel, serving.context) = (1, TestServer.longContext)
    }) { server in
      let long = #"{"prompt": "a", "max_tokens": 60000, "ignore_eos": true, "stream": true}"#
      let prompt = Array(repeating: "5", count: 2000).joined(separator: ",")
      let request = server.client.request(
        "POST", path, [:], Array(#"{"prompt": [\#(prompt)], "max_tokens": 2, "ignore_eos": true, "stream": true}"#.utf8)
      )
      let first = server.client.request("POST", path, [:], Array(long.utf8))
      try await server.client.open(first) { other in
        // The place of the engine is taken.
        _ = try await other.read { !$0.events.isEmpty }
        try await server.client.open(request) { answer in
          let head = try await answer.read { $0.status > 0 }
          #expect(head.status == 200 && head.headers["content-type"] == "text/event-stream; charset=utf-8")
          let silent = try await answer.read { $0.text.components(separatedBy: ": keep-alive\n\n").count > 2 }
          #expect(silent.events.isEmpty && server.engine.statistics.promptTokens == 1)
          other.close()
          // Comments are no events: the answer after them is whole.
          let whole = try await answer.readAll()
          #expect(whole.events.last == "[DONE]" && whole.objects.count + 1 == whole.events.count)
          #expect(whole.objects.last?["choices"][0]["finish_reason"] == "length")
        }
      }
    }
  }

  // llama.cpp 16109, lemonade 2826
  @Test("Case 26: a failure within a stream is a data event with an error, and the last one")
  func failure_isADataEvent() async throws {
    try await TestServer.with(model: try SpecialModels.broken()) { server in
      let chat = #"{"messages": [{"role": "user", "content": "a"}], "max_tokens": 5"#
      let stream = try await server.client.post("/v1/chat/completions", chat + #", "stream": true}"#)
      #expect(stream.status == 200 && stream.objects.count == 2 && stream.events.count == 2, "\(stream.text)")
      #expect(stream.objects.first?["choices"][0]["delta"]["role"] == "assistant")
      let error = try #require(stream.objects.last?["error"])
      #expect(error["type"] == "server_error" && error["code"] == "internal_error")
      #expect(error["message"] == "the server failed to answer: its log says why")
      #expect(stream.text.components(separatedBy: "\n\n").allSatisfy { $0.isEmpty || $0.hasPrefix("data: ") })
      // Before a response begins it has a status of its own. The server lives in either case.
      let whole = try await server.client.post("/v1/chat/completions", chat + "}")
      #expect(whole.status == 500 && whole.json["error"] == error)
      #expect(try await server.wait { $0.failed == 2 })
      #expect(try await server.client.get("/health").status == 200)
      // The reason is in the log.
      #expect(
        try await server.wait { _ in
          server.log.all.filter { $0.contains("internal_error ServingError: ") && $0.contains("not finite") }.count == 2
        })
    }
  }

  @Test("Case 26: a stream that is being written when the server's time to stop is over ends with an error")
  func drainLimit_endsStreamsWithAnError() async throws {
    try await TestServer.with({ _, serving in serving.context = TestServer.longContext }) { server in
      let long = #"{"prompt": "a", "max_tokens": 60000, "ignore_eos": true, "stream": true}"#
      let request = server.client.request("POST", path, [:], Array(long.utf8))
      let answer = Task { try await server.client.send(request) }
      #expect(try await server.wait { $0.running == 1 })
      await server.server.stop()
      let stream = try await answer.value
      #expect(stream.objects.last?["error"]["code"] == "stopping" && !stream.events.contains("[DONE]"))
    }
  }
}
