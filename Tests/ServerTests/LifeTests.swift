import Testing
import WidebandCheckedInput

@Suite struct LifeTests {
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
      let unsupported = InvalidRequestTests.unsupported.map { String($0.split(separator: "\"")[0]) } + ["chat_template"]
      for name in InvalidRequestTests.members.map(\.parameter) + unsupported + ["stream", "response_format"] {
        let isKnown = ["Generation", "Chat"].contains { schemas[$0]["properties"].has(name) }
        #expect(isKnown, "\(name)")
      }
      for path in ["/health", "/v1/models", "/metrics"] { #expect(description.json["paths"].has(path)) }
    }
  }

  @Test func someAddresses_needNoKey() async throws {
    try await TestServer.with({ options, _ in options.keys = ["first"] }) { server async throws in
      for path in ["/", "/health", "/openapi.json"] { #expect(try await server.client.get(path).status == 200) }
      for path in ["/metrics", "/engine", "/tokenizer_info", "/nothing"] {
        #expect(try await server.client.get(path).status == 401, "\(path)")
      }
    }
  }

  @Test func otherOrigins_areNotAllowed() async throws {
    try await TestServer.with { server async throws in
      #expect(try await server.client.get("/health").headers["access-control-allow-origin"] == nil)
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
