import Testing
import WidebandCheckedInput
import WidebandServing

/// A prompt and a seed have one answer, whatever a server did before or does at the same time.
@Suite("Cases of answers that must be the same")
struct SameAnswerCases {
  private let path = "/v1/completions"
  /// Lengths around the chunks in which prompts are processed and kept.
  private static let lengths = [1, 63, 64, 65, 128, 300]

  /// A request whose prompt has some tokens.
  private func body(_ length: Int, start: Int = 0, seed: Int = 0, _ members: String) -> String {
    let prompt = (start..<start + length).map { "\($0 * 7 % 3000)" }.joined(separator: ",")
    return #"{"prompt": [\#(prompt)], "seed": \#(seed), "ignore_eos": true, \#(members)}"#
  }

  // mlx-lm 1215
  @Test("Case 21: the same prompt again has the same text, which is not empty")
  func secondAnswer_isTheFirst() async throws {
    try await TestServer.with { server in
      for (number, length) in Self.lengths.enumerated() {
        let request = body(length, start: 400 * number, #""max_tokens": 8"#)
        let answers = [
          try await server.client.post(path, request).json, try await server.client.post(path, request).json,
        ]
        #expect(answers[0]["choices"] == answers[1]["choices"], "\(length) tokens")
        #expect(answers[0]["choices"][0]["text"].string?.isEmpty == false)
      }
      let chat = #"{"messages": [{"role": "user", "content": "Hello"}], "temperature": 0, "max_tokens": 8}"#
      let answers = [
        try await server.client.post("/v1/chat/completions", chat).json,
        try await server.client.post("/v1/chat/completions", chat).json,
      ]
      #expect(answers[0]["choices"] == answers[1]["choices"])
      #expect(answers[0]["choices"][0]["message"]["content"].string?.isEmpty == false)
    }
  }

  // llama.cpp 4902, 7594 and 28527
  @Test("Case 22: an answer from the prefix cache is that of a server without one, with its log-probabilities")
  func cachedAnswers_areUncachedOnes() async throws {
    try await TestServer.with({ _, serving in serving.prefixCacheBytes = 0 }) { plain in
      try await TestServer.with { server in
        // A prompt that others begin with: its chunks are kept.
        _ = try await server.client.post(path, body(300, #""max_tokens": 1"#))
        for (length, cached) in [(300, 256), (257, 256), (256, 192), (140, 128), (64, 0)] {
          let request = body(length, #""max_tokens": 12, "temperature": 0, "logprobs": 3"#)
          let answer = try await server.client.post(path, request).json
          let expected = try await plain.client.post(path, request).json
          #expect(answer["usage"]["prompt_tokens_details"]["cached_tokens"].integer == cached, "\(length) tokens")
          #expect(expected["usage"]["prompt_tokens_details"]["cached_tokens"] == 0)
          #expect(answer["choices"] == expected["choices"] && answer["choices"][0]["logprobs"]["tokens"].count == 12)
        }
      }
    }
  }

  // mlx-lm 965, 983 and 1129
  @Test(
    "Case 23: sixteen prompts at once have the answers that each has alone, with cycles as well", arguments: [nil, 4])
  func sixteenAnswers_areThoseAlone(cycle: Int?) async throws {
    let model = try cycle.map { try SpecialModels.direct(cycle: $0) }
    try await TestServer.with(
      { _, serving in (serving.parallel, serving.cycle) = (ServingOptions.maximumParallel, cycle) }, model: model
    ) { server in
      let requests = (0..<16).map { number in
        body(1 + 19 * number, start: 50 * number, seed: number, #""max_tokens": 60, "logprobs": 1"#)
      }
      var alone: [JSONValue] = []
      for request in requests { alone.append(try await server.client.post(path, request).json["choices"]) }
      let before = server.engine.statistics
      let together = try await withThrowingTaskGroup(of: (Int, JSONValue).self) { group in
        for (number, request) in requests.enumerated() {
          group.addTask { (number, try await server.client.post(path, request).json["choices"]) }
        }
        return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
      }
      for number in 0..<16 { #expect(together[number] == alone[number], "request \(number)") }
      // They were decoded together.
      let after = server.engine.statistics
      #expect(after.decodedSequences - before.decodedSequences > after.decodeSteps - before.decodeSteps)
    }
  }
}
