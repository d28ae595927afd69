import Foundation
import Testing
import WidebandCheckedInput

@testable import WidebandServer

@Suite struct LifeTests {
  private let long = #"{"prompt": "a", "max_tokens": 3000, "ignore_eos": true"#

  @Test func addresses_answer() async throws {
    try await TestServer.with({ options, _ in options.modelName = "small" }) { server in
      #expect(try await server.client.get("/").text.contains("wideband"))
      #expect(try await server.client.get("/health").json == ["status": "ok"])
      let models = try await server.client.get("/v1/models").json
      #expect(
        models["object"] == "list" && models["data"][0]["id"] == "small" && models["data"][0]["object"] == "model")
      #expect(try await server.client.get("/v1/models/small").json["id"] == "small")
      #expect(try await server.client.get("/tokenizer_info").status == 200)
      let missing = try await server.client.get("/nothing")
      #expect(missing.status == 404 && missing.json["error"]["code"] == "not_found")
      #expect(missing.headers["x-request-id"]?.count == 24)
      #expect(try await server.client.get("/v1/completions").status == 405)
      #expect(try await server.client.post("/health", "").headers["allow"] == "GET, HEAD")
    }
  }

  /// The description names every field that is read.
  @Test func description_isComplete() async throws {
    try await TestServer.with { server in
      let description = try await server.client.get("/openapi.json")
      #expect(description.json["openapi"] == "3.1.0")
      let schemas = description.json["components"]["schemas"]
      for (_, name) in InvalidRequestTests.members {
        let isKnown = ["Generation", "Chat"].contains { schemas[$0]["properties"][name] != .null }
        #expect(isKnown, "\(name)")
      }
      for path in ["/health", "/v1/models", "/metrics"] { #expect(description.json["paths"][path] != .null) }
    }
  }

  @Test func keys_areRequired() async throws {
    let change: (inout ServerOptions) -> Void = {
      ($0.keys, $0.allowedOrigin) = (["first", "second"], "*")
    }
    try await TestServer.with({ options, _ in change(&options) }) { server in
      let client = server.client
      for path in ["/", "/health"] { #expect(try await client.get(path).status == 200) }
      for headers in [[:], ["Authorization": "Bearer third"], ["Authorization": "first"]] {
        let response = try await client.get("/v1/models", headers)
        #expect(response.status == 401 && response.json["error"]["code"] == "invalid_api_key")
        #expect(response.headers["access-control-allow-origin"] == "*")
      }
      #expect(try await client.get("/v1/models", ["Authorization": "Bearer second"]).status == 200)
      #expect(try await client.post("/v1/completions", "{}").status == 401)
      let asked = try await client.send(
        client.request(
          "OPTIONS", "/v1/chat/completions",
          ["Origin": "http://a", "Access-Control-Request-Headers": "authorization,x-stainless-os"]))
      #expect(asked.status == 204)
      #expect(asked.headers["access-control-allow-headers"] == "authorization,x-stainless-os")
      #expect(asked.headers["access-control-allow-origin"] == "*")
    }
    try await TestServer.with { server async throws in
      #expect(try await server.client.get("/health").headers["access-control-allow-origin"] == nil)
    }
  }

  @Test func fullQueue_is429() async throws {
    try await TestServer.with({ _, serving in (serving.parallel, serving.queue) = (1, 1) }) { server in
      let request = server.client.request("POST", "/v1/completions", [:], Array((long + "}").utf8))
      try await server.client.leave(request) { () async throws in
        #expect(try await server.wait { $0.running + $0.prefilling == 1 })
        try await server.client.leave(request) { () async throws in
          #expect(try await refused(server))
        }
        #expect(try await server.wait { $0.running == 1 })
      }
      // Both are gone, and the server is free.
      #expect(try await server.wait { $0.cancelled == 2 })
      #expect(try await server.client.post("/v1/completions", #"{"prompt": "a", "max_tokens": 1}"#).status == 200)
    }
  }

  /// Whether a request is refused as soon as another one waits.
  private func refused(_ server: TestServer) async throws -> Bool {
    for _ in 0..<200 {
      let response = try await server.client.post(
        "/v1/completions", #"{"prompt": "a", "max_tokens": 1, "stream": true}"#)
      if response.status == 429 {
        return response.headers["retry-after"] != nil && response.json["error"]["code"] == "queue_full"
      }
      try await Task.sleep(for: .milliseconds(10))
    }
    return false
  }

  /// A client that goes away while its answer is streamed, awaited whole, or its prompt is processed.
  @Test func goneClients_areCancelled() async throws {
    try await TestServer.with { server in
      func request(_ body: String) -> [UInt8] {
        server.client.request("POST", "/v1/completions", [:], Array(body.utf8))
      }
      try await server.client.leave(request(long + #", "stream": true}"#), after: "data: ") {}
      #expect(try await server.wait { $0.cancelled == 1 && $0.running == 0 })
      try await server.client.leave(request(long + "}")) { () async throws in
        #expect(try await server.wait { $0.running == 1 && $0.generatedTokens > 0 })
      }
      #expect(try await server.wait { $0.cancelled == 2 && $0.running == 0 })
      let prompt = Array(repeating: "5", count: 4000).joined(separator: ",")
      for stream in ["true", "false"] {
        let before = server.engine.statistics.cancelled
        try await server.client.leave(request(#"{"prompt": [\#(prompt)], "max_tokens": 9, "stream": \#(stream)}"#)) {
          () async throws in
          #expect(try await server.wait { $0.running + $0.prefilling > 0 })
        }
        #expect(try await server.wait { $0.cancelled > before && $0.running + $0.prefilling == 0 })
      }
      #expect(try await server.client.post("/v1/completions", #"{"prompt": "a", "max_tokens": 1}"#).status == 200)
    }
  }

  @Test func stopping_refusesAndDrains() async throws {
    try await TestServer.with({ options, _ in options.drainSeconds = 20 }) { server in
      let body = Array(#"{"prompt": "a", "max_tokens": 300, "ignore_eos": true, "stream": true}"#.utf8)
      let request = server.client.request("POST", "/v1/completions", [:], body)
      let answer = Task { try await server.client.send(request) }
      #expect(try await server.wait { $0.running == 1 })
      let stopped = Task { await server.server.stop() }
      while server.server.isReady { try await Task.sleep(for: .milliseconds(1)) }
      #expect(try await server.client.get("/health").status == 503)
      let refused = try await server.client.post("/v1/completions", #"{"prompt": "a"}"#)
      #expect(refused.status == 503 && refused.json["error"]["code"] == "stopping")
      #expect(try await answer.value.events.last == "[DONE]")
      await stopped.value
    }
  }

  @Test func drainLimit_endsStreamsWithAnError() async throws {
    try await TestServer.with { server in
      let request = server.client.request("POST", "/v1/completions", [:], Array((long + #", "stream": true}"#).utf8))
      let answer = Task { try await server.client.send(request) }
      #expect(try await server.wait { $0.running == 1 })
      await server.server.stop()
      let events = try await answer.value.objects
      #expect(events.last?["error"]["code"] == "stopping")
    }
  }

  @Test func takenPort_isNamed() async throws {
    try await TestServer.with { server in
      let port = server.client.port
      await #expect(throws: InputError("127.0.0.1:\(port): cannot listen: Address already in use")) {
        try await TestServer.with({ options, _ in options.port = port }) { _ in }
      }
    }
  }

  @Test func metrics_count() async throws {
    try await TestServer.with { server in
      _ = try await server.client.post("/v1/completions", #"{"prompt": [5, 6], "max_tokens": 3, "ignore_eos": true}"#)
      let response = try await server.client.get("/metrics")
      #expect(response.headers["content-type"]?.hasPrefix("text/plain") == true)
      for line in [
        "wideband_requests_total{path=\"/v1/completions\",status=\"200\"} 1", "wideband_prompt_tokens_total 2",
        "wideband_generated_tokens_total 3", "wideband_sequences_ended_total{reason=\"length\"} 1",
        "wideband_time_to_first_token_seconds_count 1", "wideband_inter_token_latency_seconds_count 2",
        "wideband_queue_time_seconds_bucket{le=\"+Inf\"} 1", "wideband_sequences{state=\"running\"} 0",
      ] {
        #expect(response.text.contains(line + "\n"), "\(line)")
      }
    }
  }
}
