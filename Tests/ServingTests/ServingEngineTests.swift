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

  @Test("a sequence has the same tokens alone, among sixteen, and from the prefix cache", arguments: [nil, 4])
  func answers_areIndependent(cycle: Int?) async throws {
    let requests = (0..<16).map { number in
      var new = request(number, promptTokens: [3, 40, 128, 129, 300, 385][number % 6], maximumTokens: 9 + number)
      if number % 3 == 0 { new.sampling = .greedy }
      if number % 4 == 0 { new.frequencyPenalty = 0.5 }
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
        #expect(answer.generatedTokens == 9 + index)
        let chunks = (requests[index].prompt.count - 1) / Scheduler.chunk
        #expect(answer.cachedTokens == (round == 0 ? 0 : chunks * Scheduler.chunk))
      }
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

@Suite("The engine's queue")
struct ServingQueueTests {
  private func engine(_ change: (inout ServingOptions) -> Void = { _ in }) throws -> ServingEngine {
    var options = ServingOptions()
    options.parallel = 1
    options.context = 700
    change(&options)
    return try ServingEngine(smallModel(), options: options)
  }

  /// A scheduler that computes when the test says so, and requests in its queue.
  private func queued(
    _ requests: [SequenceRequest]
  ) throws -> (Scheduler, Mailbox, [Job], [AsyncThrowingStream<SequenceEvent, any Error>]) {
    var options = ServingOptions()
    options.parallel = 1
    let mailbox = Mailbox(queue: requests.count, unreadLimit: 1)
    let scheduler = try Scheduler(smallModel(), options, context: 700, mailbox)
    var jobs: [Job] = []
    var streams: [AsyncThrowingStream<SequenceEvent, any Error>] = []
    for request in requests {
      let (stream, continuation) = AsyncThrowingStream.makeStream(of: SequenceEvent.self)
      jobs.append(Job(request, continuation))
      streams.append(stream)
      try mailbox.post(JobGroup([jobs[jobs.count - 1]]))
    }
    return (scheduler, mailbox, jobs, streams)
  }

  @Test("a request that is cancelled frees its place within a step: in its prompt, while it decodes, and in the queue")
  func cancelled_isFreed() async throws {
    let requests = [300, 4, 4, 4].enumerated().map { request($0, promptTokens: $1, maximumTokens: 300) }
    let (scheduler, mailbox, jobs, streams) = try queued(requests)
    #expect(scheduler.turn())
    #expect(mailbox.statistics.prefilling == 1 && mailbox.statistics.waiting == 3)
    mailbox.wake { jobs[0].isCancelled = true }
    #expect(scheduler.turn() && scheduler.turn() && scheduler.turn())
    #expect(mailbox.statistics.promptTokens == Scheduler.chunk + 4 && mailbox.statistics.running == 1)
    mailbox.wake {
      jobs[1].isCancelled = true
      jobs[2].isCancelled = true
    }
    mailbox.stop()
    scheduler.run()
    #expect(try await collect(streams[3]).generatedTokens == 300)
    #expect(mailbox.statistics.cancelled == 3 && mailbox.statistics.generatedTokens < 310)
  }

  @Test("a full queue and a stopping engine refuse requests, and those in it are answered")
  func queue_isBounded() async throws {
    let requests = (0..<3).map { request($0, promptTokens: 4) }
    let (scheduler, mailbox, jobs, streams) = try queued(requests)
    #expect(throws: ServingError.queueFull(3)) { try mailbox.post(JobGroup([jobs[0]])) }
    mailbox.stop()
    #expect(throws: ServingError.stopping) { try mailbox.post(JobGroup([jobs[0]])) }
    #expect(mailbox.isAlive)
    scheduler.run()
    for stream in streams { #expect(try await collect(stream).generatedTokens == 12) }
    #expect(!mailbox.isAlive)
  }

  @Test("requests take turns, and one whose events are not read does not begin with more sequences")
  func requests_takeTurns() throws {
    func group(_ count: Int) -> JobGroup {
      JobGroup((0..<count).map { Job(request($0, promptTokens: 1), AsyncThrowingStream.makeStream().continuation) })
    }
    let mailbox = Mailbox(queue: 2, unreadLimit: 2)
    let (large, small) = (group(5), group(1))
    func take(_ count: Int) -> [Int]? { mailbox.take(count, while: false)?.map { Int($0.request.seed) } }
    try mailbox.post(large)
    try mailbox.post(small)
    #expect(throws: ServingError.queueFull(2)) { try mailbox.post(group(1)) }
    #expect(take(2) == [0, 0] && take(4) == [1] && take(4) == [])
    mailbox.didRead(large)
    mailbox.stop()
    #expect(take(4) == [2] && take(4) == [])
    mailbox.didRead(large)
    mailbox.didRead(large)
    #expect(mailbox.take(4, while: true)?.count == 2, "a request that was accepted is ended")
    #expect(mailbox.take(4, while: true) == nil)
  }

  @Test("the end of a drain ends the sequences with an error")
  func abort_endsSequences() async throws {
    let (scheduler, mailbox, _, streams) = try queued((0..<2).map { request($0, promptTokens: 4) })
    #expect(scheduler.turn())
    mailbox.abort()
    scheduler.run()
    for stream in streams { await #expect(throws: ServingError.stopping) { try await collect(stream) } }
  }

  @Test("requests that cannot be answered are refused with a sentence")
  func invalid_isRefused() throws {
    let engine = try engine()
    func refusal(_ change: (inout SequenceRequest) -> Void) -> String {
      var request = request(1, promptTokens: 10)
      change(&request)
      do {
        _ = try engine.submit([request])
        return ""
      } catch { return "\(error)" }
    }
    #expect(refusal { $0.prompt = [] } == "the prompt is empty: expected at least one token")
    #expect(refusal { $0.prompt = [-1] }.hasPrefix("token -1: expected the id of a token, from 0 to "))
    #expect(refusal { $0.logitBias = [1_000_000: 1] }.hasPrefix("token 1000000: expected"))
    #expect(refusal { $0.sampling.topP = 2 } == "top-p is 2.0: expected from 0 to 1")
    #expect(
      refusal { $0.maximumTokens = 691 }
        == "the prompt has 10 tokens and the request asks for up to 691 more: expected at most 700 in all, the context "
        + "of this server")
  }

  @Test("options that do not suit the model are refused")
  func options_areRefused() {
    func refusal(_ change: (inout ServingOptions) -> Void) -> String {
      do {
        _ = try engine(change)
        return ""
      } catch { return "\(error)" }
    }
    #expect(refusal { $0.context = 2000 } == "context is 2000: expected 1 to 1024, the context of the model")
    #expect(refusal { $0.parallel = 17 } == "parallel is 17: expected from 1 to 16")
    #expect(refusal { $0.cycle = 5 }.hasPrefix("cycle is 5: expected 1 to 4"))
    #expect(
      refusal { ($0.cycle, $0.draftMethod) = (2, .prediction) }
        == "cycle is 2: expected none where multi-token prediction drafts")
  }
}

@Suite("The prefix cache")
struct PrefixCacheTests {
  @Test("chunks are found in their order, and the least recently used go first")
  func chunks_areFound() throws {
    let session = try DecodingSession(smallModel().model)
    _ = try session.prefill(Array(0..<8))
    let snapshots = try (0..<4).map { try #require(try session.snapshot(2 * $0..<2 * $0 + 2)) }
    var cache = PrefixCache(chunk: 2, limit: 3 * snapshots[0].byteCount)
    let first = cache.insert([1, 2], after: PrefixCache.root, snapshots[0])
    let second = cache.insert([3, 4], after: first, snapshots[1])
    _ = cache.insert([3, 4], after: PrefixCache.root, snapshots[2])
    #expect(cache.match([1, 2, 3, 4, 5]).snapshots.count == 2 && cache.match([1, 2, 3, 4, 5]).last == second)
    #expect(cache.match([1, 2, 3, 4]).snapshots.count == 1, "the last token's logits have to be computed")
    #expect(cache.match([3, 4, 9]).snapshots.count == 1 && cache.match([4, 3, 9]).snapshots.isEmpty)
    _ = cache.match([1, 2, 3, 4, 5])
    _ = cache.insert([7, 8], after: second, snapshots[3])
    #expect(cache.match([3, 4, 9]).snapshots.isEmpty && cache.byteCount == 3 * snapshots[0].byteCount)
    #expect(cache.match([1, 2, 3, 4, 7, 8, 9]).snapshots.count == 3)
    #expect(cache.insert([9, 9], after: PrefixCache.root, snapshots[0]) > 0)
    var none = PrefixCache(chunk: 2, limit: 0)
    #expect(none.insert([1, 2], after: PrefixCache.root, snapshots[0]) == -1 && none.byteCount == 0)
  }
}
