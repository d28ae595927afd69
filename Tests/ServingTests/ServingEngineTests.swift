import Foundation
import Testing
import WidebandCheckedInput
import WidebandDecoding
import WidebandStructuredOutput
import WidebandTorch

@testable import WidebandServing

@Suite("The engine decodes the sequences of many requests")
struct ServingEngineTests {
  private let model: LoadedModel

  init() throws { model = try smallModel() }

  private func engine(parallel: Int = 4, queue: Int = 64, cycle: Int? = nil, cache: Int = 1 << 24) throws
    -> ServingEngine
  {
    var options = ServingOptions()
    (options.parallel, options.queue, options.cycle, options.prefixCacheBytes) = (parallel, queue, cycle, cache)
    options.context = 700
    return try ServingEngine(model, options: options)
  }

  @Test(
    "a sequence has the same tokens and log-probabilities alone, among sixteen, and from the prefix cache",
    arguments: [nil, 4])
  func answers_areIndependent(cycle: Int?) async throws {
    let requests = (0..<16).map { number in
      var new = request(number, promptTokens: [3, 40, 128, 129, 300, 385][number % 6], maximumTokens: 9 + number)
      if number % 3 == 0 { new.sampling = .greedy }
      if number % 4 == 0 { new.frequencyPenalty = 0.5 }
      new.logprobCount = 1
      return new
    }
    var alone: [Collected] = []
    for request in requests { alone.append(try await engine(parallel: 1, cycle: cycle, cache: 0).answer(request)) }
    let shared = try engine(parallel: 16, cycle: cycle)
    for round in 0..<2 {
      let answers = try await withThrowingTaskGroup(of: (Int, Collected).self) { group in
        for (index, request) in requests.enumerated() { group.addTask { (index, try await shared.answer(request)) } }
        return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
      }
      for (index, expected) in alone.enumerated() {
        let answer = try #require(answers[index])
        #expect(answer.tokens == expected.tokens && answer.text == expected.text, "request \(index), round \(round)")
        #expect(answer.logprobs == expected.logprobs, "request \(index), round \(round)")
        #expect(answer.generatedTokens == 9 + index)
        let chunks = (requests[index].prompt.count - 1) / Scheduler.chunk
        #expect(answer.cachedTokens == (round == 0 ? 0 : chunks * Scheduler.chunk))
      }
    }
  }

  @Test("a prompt that several sequences share is read once, with the same answers", arguments: [nil, 4])
  func sharedPrompt_isReadOnce(cycle: Int?) async throws {
    let requests = (0..<3).map { number in
      var new = request(0, promptTokens: 300)
      new.seed = UInt64(number)
      new.logprobCount = 1
      return new
    }
    let shared = try engine(cycle: cycle)
    for (index, stream) in try shared.submit(requests).events.enumerated() {
      let answer = try await collect(stream)
      let alone = try await engine(parallel: 1, cycle: cycle, cache: 0).answer(requests[index])
      #expect(answer.tokens == alone.tokens && answer.logprobs == alone.logprobs)
      #expect(answer.cachedTokens == (index == 0 ? 0 : 256) && alone.cachedTokens == 0)
    }
    let statistics = shared.statistics
    #expect(statistics.promptTokens == 300 + 2 * 44)
    #expect(statistics.prefixQueriedTokens == 900 && statistics.prefixHitTokens == 512)
  }

  @Test("prompts longer than the prefix cache are found as far as it has them, and shorten others from their ends")
  func longPrompts_areFound() async throws {
    let measured = try engine()
    _ = try await measured.answer(request(0, promptTokens: Scheduler.chunk + 1))
    let chunk = measured.statistics.prefixCacheBytes
    #expect(chunk > 0)
    let small = try engine(cache: 4 * chunk)
    for cached in [0, 256, 256] {
      #expect(try await small.answer(request(1, promptTokens: 385)).cachedTokens == cached)
    }
    // Prompts of 4, 6 and 4 chunks.
    let larger = try engine(cache: 8 * chunk)
    for (number, length, cached) in [(1, 257, 0), (2, 385, 0), (1, 257, 128)] {
      #expect(try await larger.answer(request(number, promptTokens: length)).cachedTokens == cached)
      #expect(larger.statistics.prefixCacheBytes <= 8 * chunk)
    }
  }

  @Test(
    "a sequence has the same tokens with and without drafts, alone and with others", arguments: DraftMethod.allCases)
  func drafts_changeNothing(method: DraftMethod) async throws {
    // The number of tokens in the order of their end: each next one is alone in the end.
    let model = try smallModel()
    // Few tokens are likely, so that drafts are accepted.
    let head = try #require(model.model.weights.tensors["lm_head.weight"])
    try withTorch { head.slice(0, 100..<103).copy(from: head.slice(0, 100..<103) * 100) }
    let requests = (0..<4).map { number in
      var new = request(number, promptTokens: [3, 129, 260, 40][number], maximumTokens: 10 + 20 * number)
      new.logprobCount = 2
      if number % 2 == 0 { new.sampling = .greedy } else { new.frequencyPenalty = 0.1 }
      if number == 3 { new.sampling.repetitionPenalty = 1.2 }
      return new
    }
    var options = ServingOptions()
    options.context = 700
    options.cycle = method == .direct ? 1 : nil
    let ordinary = try ServingEngine(model, options: options)
    options.cycle = nil
    options.draftMethod = method
    let drafting = try ServingEngine(model, options: options)
    var expected: [Collected] = []
    for request in requests {
      expected.append(try await ordinary.answer(request))
      #expect(try await drafting.answer(request) == expected[expected.count - 1])
    }
    let answers = try await withThrowingTaskGroup(of: (Int, Collected).self) { group in
      for (index, request) in requests.enumerated() { group.addTask { (index, try await drafting.answer(request)) } }
      return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
    }
    for (index, expected) in expected.enumerated() {
      #expect(answers[index]?.tokens == expected.tokens && answers[index]?.logprobs == expected.logprobs)
    }
    let statistics = drafting.statistics
    #expect(
      statistics.acceptedTokens > 0 && statistics.acceptedTokens < statistics.draftedTokens,
      "\(statistics.acceptedTokens) of \(statistics.draftedTokens)")
    #expect(statistics.generatedTokens == 2 * expected.reduce(0) { $0 + $1.generatedTokens })
    #expect(ordinary.statistics.draftedTokens == 0)
  }

  @Test("greedy tokens are those of generate")
  func answer_equalsGenerate() async throws {
    var request = request(1, promptTokens: 20, maximumTokens: 20)
    request.sampling = .greedy
    let answer = try await engine().answer(request)
    var options = GenerationOptions()
    options.sampling = .greedy
    options.maximumTokens = 20
    let expected = try model.generate(request.prompt, options: options)
    #expect(answer.tokens == expected.tokens && answer.text == expected.text)
    #expect(answer.reason == .length)
  }

  @Test("end tokens and stop strings end a sequence, and are not part of its text")
  func answer_stops() async throws {
    var request = request(2, promptTokens: 10, maximumTokens: 40)
    let free = try await engine().answer(request)
    request.endTokens = [free.tokens[5]]
    let ended = try await engine().answer(request)
    let end = try #require(free.tokens.firstIndex(of: free.tokens[5]))
    #expect(ended.tokens == Array(free.tokens[...end]) && ended.reason == .stop(nil))
    #expect(ended.text == (try model.tokenizer.decode(free.tokens[..<end], skipSpecialTokens: true)))
    request.endTokens = []
    let stop = String(free.text.dropFirst(7).prefix(3))
    request.stopStrings = [stop]
    let stopped = try await engine().answer(request)
    let range = try #require(free.text.range(of: stop))
    #expect(stopped.text == String(free.text[..<range.lowerBound]) && stopped.reason == .stop(stop))
  }

  @Test("no end token is sampled before the minimum of tokens, token by token, in cycles and with drafts")
  func minimum_delaysTheEnd() async throws {
    var request = request(2, promptTokens: 10, maximumTokens: 40)
    (request.sampling, request.endTokens, request.logitBias) = (.greedy, [77], [77: 1000])
    var drafting = ServingOptions()
    (drafting.context, drafting.draftMethod) = (700, .prediction)
    let plain = try engine()
    for engine in [plain, try engine(cycle: 4), try ServingEngine(model, options: drafting)] {
      request.minimumTokens = 0
      #expect(try await engine.answer(request).tokens == [77])
      request.minimumTokens = 8
      let answer = try await engine.answer(request)
      #expect(answer.tokens.count == 9 && answer.tokens.firstIndex(of: 77) == 8 && answer.reason == .stop(nil))
      #expect(answer.text == (try model.tokenizer.decode(answer.tokens.dropLast(), skipSpecialTokens: true)))
      if engine.options.cycle == nil { #expect(try await plain.answer(request).tokens == answer.tokens) }
    }
    // A document that nothing can follow has its end.
    request.logitBias = [:]
    request.grammar = try JSONGrammar(schema: JSONValue(parsing: Data(#"{"const": true}"#.utf8), file: "schema"))
    let document = try await plain.answer(request)
    #expect(document.text.hasPrefix("true") && !document.tokens.prefix(8).contains(77))
  }

  @Test("a bias on a token's logit decides, and a presence penalty forbids what was generated")
  func logits_areAdjusted() async throws {
    var request = request(3, promptTokens: 5, maximumTokens: 6)
    request.logitBias = [77: 1000]
    #expect(try await engine().answer(request).tokens == Array(repeating: 77, count: 6))
    request.presencePenalty = 1e6
    let tokens = try await engine().answer(request).tokens
    #expect(tokens[0] == 77 && Set(tokens).count == 6)
  }

  @Test("a grammar constrains the text, and an end token follows a whole document only", arguments: 0..<4)
  func grammar_constrains(number: Int) async throws {
    let schema = """
      {"type": "object", "properties": {"name": {"enum": ["a", "bc"]}, "count": {"type": "integer"}},
       "required": ["name", "count"], "additionalProperties": false}
      """
    var request = request(number, promptTokens: 5, maximumTokens: 200)
    request.grammar = try JSONGrammar(schema: JSONValue(parsing: Data(schema.utf8), file: "schema"))
    request.endTokens = [7]
    let answer = try await engine().answer(request)
    let document = try JSONSerialization.jsonObject(with: Data(answer.text.utf8)) as? [String: Any]
    #expect(document?.count == 2 && document?["count"] is Int, "\(answer.text)")
    #expect(["a", "bc"].contains(document?["name"] as? String))
    #expect(answer.reason == .stop(nil))
  }

  @Test("log-probabilities are those of the model")
  func logprobs_equalTheModel() async throws {
    var request = request(4, promptTokens: 150, maximumTokens: 3)
    request.logprobCount = 2
    request.reportsPrompt = true
    request.sampling = .greedy
    let answer = try await engine().answer(request)
    #expect(answer.promptLogprobs.map(\.token) == request.prompt && answer.logprobs.map(\.token) == answer.tokens)
    let all = request.prompt + answer.tokens
    let scores = try withTorch {
      try model.model.logits(Tensor(all.map(Int64.init), shape: [1, all.count])).to(.float64).logSoftmax(-1)
        .elements(Double.self)
    }
    let size = model.model.configuration.vocabularySize
    for (position, entry) in (answer.promptLogprobs + answer.logprobs).enumerated().dropFirst() {
      let row = scores[(position - 1) * size..<position * size]
      let logprob = try #require(entry.logprob)
      #expect(abs(logprob - row[row.startIndex + Int(entry.token)]) < 1e-4)
      #expect(entry.alternatives.count == 2 && abs(entry.alternatives[0].logprob - (row.max() ?? 0)) < 1e-4)
    }
    #expect(answer.promptLogprobs[0].logprob == nil)
    #expect(answer.logprobs.allSatisfy { $0.alternatives[0].token == $0.token })
  }

  @Test("no token is generated where none is asked for")
  func answer_withoutTokens() async throws {
    let answer = try await engine().answer(request(5, promptTokens: 30, maximumTokens: 0))
    #expect(answer == Collected(reason: .length))
  }
}
