import Testing

@testable import WidebandServing

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
  ) throws -> (Scheduler, RequestQueue, [QueuedSequence], [AsyncThrowingStream<SequenceEvent, any Error>]) {
    var options = ServingOptions()
    options.parallel = 1
    let queue = RequestQueue(limit: requests.count - 1, parallel: 1)
    let scheduler = try Scheduler(smallModel(), options, context: 700, queue)
    var sequences: [QueuedSequence] = []
    var streams: [AsyncThrowingStream<SequenceEvent, any Error>] = []
    for request in requests {
      let (stream, continuation) = AsyncThrowingStream.makeStream(of: SequenceEvent.self)
      sequences.append(QueuedSequence(request, continuation))
      streams.append(stream)
      try queue.post(QueuedRequest([sequences[sequences.count - 1]]))
    }
    return (scheduler, queue, sequences, streams)
  }

  @Test("a request that is cancelled frees its place within a step: in its prompt, while it decodes, and in the queue")
  func cancelled_isFreed() async throws {
    let requests = [300, 4, 4, 4].enumerated().map { request($0, promptTokens: $1, maximumTokens: 300) }
    let (scheduler, queue, sequences, streams) = try queued(requests)
    #expect(scheduler.runStep())
    #expect(queue.statistics.prefilling == 1 && queue.statistics.waiting == 3)
    queue.wake { sequences[0].isCancelled = true }
    #expect(scheduler.runStep() && scheduler.runStep() && scheduler.runStep())
    #expect(queue.statistics.promptTokens == Scheduler.chunk + 4 && queue.statistics.running == 1)
    queue.wake {
      sequences[1].isCancelled = true
      sequences[2].isCancelled = true
    }
    queue.stop()
    scheduler.run()
    #expect(try await collect(streams[3]).generatedTokens == 300)
    #expect(queue.statistics.cancelled == 3 && queue.statistics.generatedTokens < 310)
  }

  @Test("a full queue and a stopping engine refuse requests, and those in it are answered")
  func queue_isBounded() async throws {
    let requests = (0..<3).map { request($0, promptTokens: 4) }
    let (scheduler, queue, sequences, streams) = try queued(requests)
    #expect(throws: ServingError.queueFull(3)) { try queue.post(QueuedRequest([sequences[0]])) }
    queue.stop()
    #expect(throws: ServingError.stopping) { try queue.post(QueuedRequest([sequences[0]])) }
    #expect(queue.isAlive)
    scheduler.run()
    for stream in streams { #expect(try await collect(stream).generatedTokens == 12) }
    #expect(!queue.isAlive)
  }

  /// A request of some sequences whose seeds are their numbers.
  private func queuedRequest(_ count: Int) -> QueuedRequest {
    QueuedRequest(
      (0..<count).map {
        QueuedSequence(request($0, promptTokens: 1), AsyncThrowingStream.makeStream().continuation)
      })
  }

  @Test("requests take turns, and one whose events are not read does not begin with more sequences")
  func requests_takeTurns() throws {
    let queue = RequestQueue(limit: 2, parallel: 3)
    let (large, small) = (queuedRequest(5), queuedRequest(1))
    func take() -> [Int]? { queue.take()?.map { Int($0.request.seed) } }
    try queue.post(large)
    try queue.post(small)
    #expect(take() == [0, 0, 1] && take() == [])
    queue.leave { _ in }
    #expect(take() == [2])
    queue.leave { _ in }
    #expect(take() == [], "three sequences of the request are not read")
    queue.didRead(large)
    queue.stop()
    #expect(take() == [3] && take() == [])
    queue.leave { _ in }
    queue.didRead(large)
    #expect(take() == [4], "a request that was accepted is ended")
    for _ in 0..<3 { queue.leave { _ in } }
    #expect(take() == nil)
  }

  @Test("requests for which there are places are accepted before the engine has taken them")
  func freePlaces_areCounted() throws {
    let queue = RequestQueue(limit: 1, parallel: 4)
    for _ in 0..<5 { try queue.post(queuedRequest(1)) }
    #expect(throws: ServingError.queueFull(5)) { try queue.post(queuedRequest(1)) }
    #expect(queue.take()?.count == 4)
    #expect(throws: ServingError.queueFull(1)) { try queue.post(queuedRequest(1)) }
    queue.leave { _ in }
    try queue.post(queuedRequest(1))
    #expect(throws: ServingError.queueFull(2)) { try queue.post(queuedRequest(1)) }
  }

  @Test("requests that have begun take no place in the queue, though their clients do not read")
  func begunRequests_areNotCounted() throws {
    let queue = RequestQueue(limit: 1, parallel: 1)
    for _ in 0..<3 {
      try queue.post(queuedRequest(20))
      #expect(queue.take()?.count == 1)
      queue.leave { _ in }
    }
    try queue.post(queuedRequest(1))
    #expect(queue.take()?.count == 1)
    try queue.post(queuedRequest(1))
    #expect(throws: ServingError.queueFull(1)) { try queue.post(queuedRequest(1)) }
  }

  @Test("sequences that are cancelled in the queue do not count as waiting, whatever the engine does")
  func cancelledSequences_doNotWait() throws {
    let queue = RequestQueue(limit: 2, parallel: 1)
    let (stream, continuation) = AsyncThrowingStream.makeStream(of: SequenceEvent.self)
    let sequence = QueuedSequence(request(1, promptTokens: 1), continuation)
    try queue.post(QueuedRequest([sequence]))
    #expect(queue.statistics.waiting == 1)
    queue.wake { sequence.isCancelled = true }
    #expect(queue.statistics.waiting == 0 && queue.statistics.cancelled == 1)
    withExtendedLifetime(stream) {}
  }

  @Test("the end of a drain ends the sequences with an error")
  func abort_endsSequences() async throws {
    let (scheduler, queue, _, streams) = try queued((0..<2).map { request($0, promptTokens: 4) })
    #expect(scheduler.runStep())
    queue.abort()
    scheduler.run()
    for stream in streams { await #expect(throws: ServingError.stopping) { try await collect(stream) } }
  }

  @Test("the memory of a sequence that failed is not used again, and that of others once")
  func failed_dropsItsMemory() async throws {
    // The engine refuses such requests: they fail in their prompt, with their first token, and in a step.
    var requests = [4, 4, 1023, 4, 4].enumerated().map { request($0, promptTokens: $1) }
    requests[0].prompt[0] = -1
    requests[1].logitBias = [5: .nan]
    let (scheduler, queue, _, streams) = try queued(requests)
    for count in 1...3 {
      for _ in 0..<40 where queue.statistics.failed < count { #expect(scheduler.runStep()) }
      #expect(queue.statistics.failed == count && scheduler.freeMemory.isEmpty)
      await #expect(throws: ServingError.self) { try await collect(streams[count - 1]) }
    }
    queue.stop()
    scheduler.run()
    for stream in streams[3...] { #expect(try await collect(stream).generatedTokens == 12) }
    #expect(scheduler.freeMemory.count == 1)
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
