import Testing
import WidebandCheckedInput

@testable import WidebandServer

/// Requests that a server refuses because of its state, or of their sender, and what it writes about them.
@Suite("Cases of a server's life")
struct LifeCases {
  private let path = "/v1/completions"
  private let long = #"{"prompt": "a", "max_tokens": 60000, "ignore_eos": true, "stream": true}"#

  // vllm 18826 and 49445
  @Test("Case 27: a request that the queue has no place for is 429 with Retry-After, and the others go on")
  func fullQueue_is429() async throws {
    try await TestServer.with({ _, serving in
      (serving.parallel, serving.queue, serving.context) = (1, 1, TestServer.longContext)
    }) { server in
      let running = server.client.request("POST", path, [:], Array(long.utf8))
      let body = #"{"prompt": "a", "max_tokens": 2, "ignore_eos": true"#
      try await server.client.open(running) { first in
        _ = try await first.read { !$0.events.isEmpty }
        let waiting = server.client.request("POST", path, [:], Array((body + "}").utf8))
        try await server.client.open(waiting) { second in
          #expect(try await server.wait { $0.waiting == 1 })
          for stream in ["false", "true"] {
            let refused = try await server.client.post(path, body + #", "stream": \#(stream)}"#)
            #expect(refused.status == 429 && refused.headers["retry-after"].flatMap { Int($0) } == 1)
            let error = refused.json["error"]
            #expect(error["code"] == "queue_full" && error["type"] == "rate_limit_error", "\(refused.text)")
          }
          #expect(server.engine.statistics.running == 1 && server.engine.statistics.cancelled == 0)
          first.close()
          // The one that waited is answered.
          let answer = try await second.readAll()
          #expect(answer.status == 200 && answer.json["usage"]["completion_tokens"] == 2)
        }
      }
      #expect(try await server.client.post(path, body + "}").status == 200)
    }
  }

  @Test("Case 27: as many requests as there are places, and as the queue holds, are accepted at once")
  func freePlaces_areUsed() async throws {
    try await TestServer.with({ _, serving in (serving.parallel, serving.queue) = (4, 1) }) { server in
      for _ in 0..<10 {
        let accepted = try await withThrowingTaskGroup(of: Int.self) { group in
          for _ in 0..<5 {
            group.addTask { try await server.client.post(path, #"{"prompt": "a", "max_tokens": 2}"#).status }
          }
          return try await group.reduce(into: 0) { $0 += $1 == 200 ? 1 : 0 }
        }
        #expect(accepted == 5)
      }
    }
  }

  // vllm 24885
  @Test("Case 28: a server that stops refuses new requests with 503, and ends what it is writing")
  func stopping_refusesAndDrains() async throws {
    try await TestServer.with({ options, serving in
      (options.drainSeconds, serving.parallel, serving.context) = (120, 1, TestServer.longContext)
    }) { server in
      let requests = [#""max_tokens": 12000, "stream": true"#, #""max_tokens": 20"#].map { members in
        server.client.request(
          "POST", path, [:], Array(#"{"prompt": "a", "ignore_eos": true, \#(members)}"#.utf8))
      }
      let streamed = Task { try await server.client.send(requests[0]) }
      #expect(try await server.wait { $0.running == 1 })
      let queued = Task { try await server.client.send(requests[1]) }
      #expect(try await server.wait { $0.waiting == 1 })
      let stopped = Task { await server.server.stop() }
      while server.server.isReady { try await Task.sleep(for: .milliseconds(1)) }
      #expect(try await server.client.get("/health").status == 503)
      let refused = try await server.client.post(path, #"{"prompt": "a"}"#)
      #expect(refused.status == 503 && refused.json["error"]["code"] == "stopping")
      #expect(refused.headers["retry-after"] == "1")
      #expect(try await streamed.value.events.last == "[DONE]")
      #expect(try await queued.value.json["usage"]["completion_tokens"] == 20)
      await stopped.value
    }
  }

  @Test("Case 28: a request of more sequences than are decoded at the same time is ended as a whole")
  func stopping_drainsWholeRequests() async throws {
    try await TestServer.with({ options, serving in
      (options.drainSeconds, serving.parallel) = (60, 2)
    }) { server in
      let body = Array(#"{"prompt": "a", "n": 6, "max_tokens": 500, "ignore_eos": true}"#.utf8)
      let request = server.client.request("POST", path, [:], body)
      let answer = Task { try await server.client.send(request) }
      let isWaiting = try await server.wait { $0.running == 2 && $0.waiting == 4 }
      await server.server.stop()
      let usage = try await answer.value.json["usage"]
      #expect(isWaiting && usage["completion_tokens"] == 3000)
    }
  }

  // sonar 434, llama.cpp 6544
  @Test("Case 29: a browser may ask without a key whether it may send one; a wrong key is 401")
  func preflight_needsNoKey() async throws {
    try await TestServer.with({ options, _ in
      (options.keys, options.allowedOrigin) = (["first", "second"], "*")
    }) { server in
      let client = server.client
      for path in ["/v1/chat/completions", "/v1/models"] {
        let asked = try await client.send(
          client.request(
            "OPTIONS", path,
            [
              "Origin": "http://a", "Access-Control-Request-Method": "POST",
              "Access-Control-Request-Headers": "authorization,x-stainless-os",
            ]))
        #expect(asked.status == 204)
        #expect(asked.headers["access-control-allow-headers"] == "authorization,x-stainless-os")
        #expect(asked.headers["access-control-allow-methods"]?.contains("POST") == true)
        #expect(asked.headers["access-control-allow-origin"] == "*")
      }
      for headers in [[:], ["Authorization": "Bearer third"], ["Authorization": "first"], ["Authorization": "Bearer "]]
      {
        for response in [
          try await client.get("/v1/models", headers), try await client.post(path, #"{"prompt": "a"}"#, headers),
        ] {
          #expect(response.status == 401 && response.json["error"]["code"] == "invalid_api_key", "\(headers)")
          // A page is to see the error.
          #expect(response.headers["access-control-allow-origin"] == "*")
        }
      }
      for key in ["first", "second"] {
        #expect(try await client.get("/v1/models", ["Authorization": "Bearer \(key)"]).status == 200)
      }
      #expect(server.engine.statistics.promptTokens == 0)
    }
  }

  // The log injection test of llama.cpp
  @Test("Case 33: the log has one line for a request, without its text and without control characters")
  func log_hasNoText() async throws {
    try await TestServer.with { server in
      let escape = #"\n\u001b[31m secret"#
      for body in [
        #"{"prompt": "\#(escape)", "max_tokens": 2, "model": "\#(escape)"}"#, #"{"prompt": {"\#(escape)": 1}}"#,
        #"{"\#(escape)": 1, "prompt": "a", "stop": ["\#(escape)"], "max_tokens": 1}"#, "\n\u{1B}[31m secret",
      ] {
        _ = try await server.client.post(path, body)
      }
      _ = try await server.client.get("/no%0Asuch%1B[31m")
      #expect(try await server.wait { _ in server.log.all.count == 5 })
      // What a message has of its own is escaped as well.
      server.server.logger.warning("a\nb\u{1B}[31m\u{2028}c")
      let lines = server.log.all
      #expect(lines.count == 6 && lines[5].hasSuffix(#"warning: a\u{a}b\u{1b}[31m\u{2028}c"#), "\(lines)")
      for line in lines {
        #expect(!line.contains("secret") && line.unicodeScalars.allSatisfy { $0.value >= 0x20 }, "\(line)")
      }
    }
  }
}
