import Testing
import WidebandCheckedInput

/// Clients that go away, or do not read. What they asked for would take tens of seconds to compute.
@Suite("Cases of clients that go away")
struct CancellationCases {
  private static let path = "/v1/completions"
  private let long = #"{"prompt": "a", "seed": 1, "max_tokens": 60000, "ignore_eos": true"#

  /// Runs `body` with a server that has a place for one sequence.
  private func withServer(_ body: (TestServer) async throws -> Void) async throws {
    try await TestServer.with({ _, serving in
      (serving.parallel, serving.queue, serving.context) = (1, 4, TestServer.longContext)
    }) { server in
      try await body(server)
      // The place is free, and the server answers.
      #expect(server.engine.statistics.failed == 0)
      let after = try await server.client.post(Self.path, #"{"prompt": "a", "max_tokens": 2, "ignore_eos": true}"#)
      #expect(after.json["usage"]["completion_tokens"] == 2, "\(after.text)")
    }
  }

  private func request(_ server: TestServer, _ body: String) -> [UInt8] {
    server.client.request("POST", Self.path, [:], Array(body.utf8))
  }

  // llama.cpp 24496 and 11414, mlx-lm 677
  @Test("Case 17: a client that goes away from a stream frees its place, and the server lives")
  func goneFromStream_isCancelled() async throws {
    try await withServer { server in
      for count in 1...3 {
        try await server.client.open(request(server, long + #", "stream": true}"#)) { answer in
          _ = try await answer.read { !$0.events.isEmpty }
        }
        #expect(try await server.wait { $0.cancelled == count && $0.running == 0 })
      }
      #expect(server.engine.statistics.generatedTokens < 60_000 && server.engine.statistics.cachePositions == 0)
      #expect(try await server.wait { _ in server.log.all.filter { $0.contains("the client has gone") }.count == 3 })
    }
  }

  // ik_llama.cpp 1020
  @Test("Case 18: a client that goes away while its prompt is processed stops that", arguments: ["true", "false"])
  func goneInPrefill_isCancelled(stream: String) async throws {
    try await withServer { server in
      let prompt = Array(repeating: "5", count: 60_000).joined(separator: ",")
      let body = #"{"prompt": [\#(prompt)], "max_tokens": 9, "stream": \#(stream)}"#
      try await server.client.open(request(server, body)) { _ async throws in
        #expect(try await server.wait { $0.prefilling == 1 && $0.promptTokens > 0 })
      }
      #expect(try await server.wait { $0.cancelled == 1 && $0.prefilling == 0 })
      let statistics = server.engine.statistics
      #expect(statistics.promptTokens < 60_000 && statistics.generatedTokens == 0)
    }
  }

  // llama.cpp 13262, ik_llama.cpp 1929
  @Test("Case 19: a client that goes away from the queue is never computed, and the one that decodes is left alone")
  func goneFromQueue_isNeverComputed() async throws {
    try await withServer { server in
      let read = try await server.client.open(request(server, long + #", "stream": true}"#)) { answer in
        _ = try await answer.read { !$0.events.isEmpty }
        for (count, stream) in [(1, "true"), (2, "false")] {
          let body = #"{"prompt": [5, 6, 7], "max_tokens": 9, "stream": \#(stream)}"#
          try await server.client.open(request(server, body)) { _ async throws in
            #expect(try await server.wait { $0.waiting == 1 })
          }
          #expect(try await server.wait { $0.cancelled == count && $0.waiting == 0 && $0.running == 1 })
        }
        #expect(server.engine.statistics.promptTokens == 1)
        // Text of tokens that were generated after the others had gone.
        let count = server.engine.statistics.generatedTokens + 50
        return try await answer.read { $0.events.count > count }
      }
      #expect(try await server.wait { $0.cancelled == 3 })
      let text = read.objects.map { $0["choices"][0]["text"].string ?? "" }.joined()
      let alone = try await server.client.post(
        Self.path, #"{"prompt": "a", "seed": 1, "max_tokens": \#(read.events.count - 1), "ignore_eos": true}"#)
      // A character whose last token is missing has no text yet.
      let expected = try #require(alone.json["choices"][0]["text"].string).unicodeScalars.dropLast(3)
      #expect(text.unicodeScalars.starts(with: expected) && expected.count > 50)
      #expect(server.engine.statistics.promptTokens == 2)
    }
  }

  // vllm 9428 and 10806
  @Test("Case 20: a client that goes away from an answer that is not streamed is cancelled as well")
  func goneFromWhole_isCancelled() async throws {
    try await withServer { server in
      try await server.client.open(request(server, long + "}")) { _ async throws in
        #expect(try await server.wait { $0.running == 1 && $0.generatedTokens > 0 })
      }
      #expect(try await server.wait { $0.cancelled == 1 && $0.running == 0 })
      #expect(server.engine.statistics.generatedTokens < 60_000)
    }
  }

  @Test("a client that reads nothing loses its connection, and its place is free", arguments: [true, false])
  func stalledReader_losesItsConnection(isStream: Bool) async throws {
    try await TestServer.with({ options, serving in
      options.writeTimeout = .milliseconds(300)
      (serving.parallel, serving.context) = (1, TestServer.longContext)
    }) { server in
      // Some megabytes, more than the system keeps for a client: of tokens to come, or of a prompt's.
      let prompt = Array(repeating: "5", count: isStream ? 1 : 8000).joined(separator: ",")
      let body = #"""
        {"prompt": [\#(prompt)], "max_tokens": \#(isStream ? 60_000 : 0), "ignore_eos": true, "logprobs": 20,
         "echo": true, "stream": \#(isStream)}
        """#
      try await server.client.open(request(server, body), receiveBuffer: 4096) { answer in
        #expect(try await server.wait { $0.cancelled + $0.reachedLength == 1 })
        try await Task.sleep(for: .seconds(2))
        let received = try await answer.readAll()
        #expect(isStream ? received.events.last != "[DONE]" : received.json == .null)
      }
      #expect(server.engine.statistics.cancelled == (isStream ? 1 : 0))
    }
  }

  @Test("Case 33: a client that does not read gets its whole answer later, and does not stop others")
  func slowReader_stopsNobody() async throws {
    try await withServer { server in
      let body = #"{"prompt": "a", "seed": 1, "max_tokens": 1500, "ignore_eos": true, "logprobs": 10"#
      // A megabyte, for a client that the system keeps a few thousand bytes for.
      let slow = try await server.client.open(request(server, body + #", "stream": true}"#), receiveBuffer: 4096) {
        answer in
        #expect(try await server.wait { $0.generatedTokens > 0 })
        let other = try await server.client.post(Self.path, #"{"prompt": "b", "max_tokens": 3, "ignore_eos": true}"#)
        #expect(other.json["usage"]["completion_tokens"] == 3 && server.engine.statistics.reachedLength == 2)
        return try await answer.readAll()
      }
      #expect(slow.events.last == "[DONE]" && slow.body.count > 500_000)
      let alone = try await server.client.post(Self.path, body + "}").json["choices"][0]
      #expect(slow.objects.map { $0["choices"][0]["text"].string ?? "" }.joined() == alone["text"].string)
    }
  }
}
