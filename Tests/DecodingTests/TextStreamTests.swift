import Foundation
import Testing
import WidebandTorch

@testable import WidebandDecoding

// A test that waits gets its next turn when all others that wait have had theirs. None of these has a time limit, which
// in a full run would be one on the others, and none computes on while its reader waits.

private func options(tokens: Int) -> GenerationOptions {
  var options = GenerationOptions()
  options.seed = 9
  options.maximumTokens = tokens
  return options
}

@Test func aStreamIsTheGeneratedText() async throws {
  let model = try Fixtures.loaded()
  let expected = try model.generate("Hello", options: options(tokens: 12))
  var text = ""
  var result: GenerationResult?
  for try await event in model.stream(try model.promptTokens("Hello"), options: options(tokens: 12)) {
    #expect(result == nil, "nothing comes after the end")
    switch event {
    case .text(let piece): text += piece
    case .finished(let last): result = last
    }
  }
  #expect(text == expected.text)
  #expect(result?.tokens == expected.tokens)
  #expect(result?.finishReason == .maximumTokens)
}

/// A stream that goes on after its first piece when its reader has left. The lock guards the count.
private final class HeldStream: @unchecked Sendable {
  private let lock = NSLock()
  private let left = DispatchSemaphore(value: 0)
  private var count = 0

  /// Passes so far.
  var passes: Int { lock.withLock { count } }

  func events(_ model: LoadedModel) -> AsyncThrowingStream<GenerationEvent, any Error> {
    ComputeThread.shared.stream { check, onText in
      var isHeld = false
      return try model.generate([1, 2, 3], options: options(tokens: 40)) {
        self.lock.withLock { self.count += 1 }
        try check()
      } onText: { piece in
        try onText(piece)
        if !isHeld { self.left.wait() }
        isHeld = true
      }
    }
  }

  /// Holds the stream, which nobody reads any more, to one more attempt at a pass.
  func expectEnd() async {
    let before = passes
    left.signal()
    await withCheckedContinuation { continuation in ComputeThread.shared.run { continuation.resume() } }
    #expect(passes == before + 1)
  }
}

@Test func leavingALoopEndsItsComputation() async throws {
  let (model, held) = (try Fixtures.loaded(), HeldStream())
  for try await _ in held.events(model) { break }
  await held.expectEnd()
}

@Test func cancellingATaskEndsItsComputation() async throws {
  let (model, held) = (try Fixtures.loaded(), HeldStream())
  let (pieces, continuation) = AsyncStream.makeStream(of: Void.self)
  let reader = Task { for try await _ in held.events(model) { continuation.yield() } }
  for await _ in pieces { break }
  reader.cancel()
  _ = await reader.result
  await held.expectEnd()
}

/// If it went on, it would for minutes.
@Test func aModelsStreamEndsWhenItIsLeft() async throws {
  let model = try Fixtures.loaded(contextLength: 200_000)
  let task = Task { for try await _ in model.stream([1, 2, 3], options: options(tokens: 100_000)) {} }
  task.cancel()
  _ = await task.result
  var finished = false
  for try await event in model.stream([4, 5], options: options(tokens: 2)) {
    if case .finished = event { finished = true }
  }
  #expect(finished)
}

@Test func aStreamThrowsWhatGenerationThrows() async throws {
  let model = try Fixtures.loaded()
  let error = await #expect(throws: GenerationError.self) {
    for try await _ in model.stream([-5]) {}
  }
  #expect(error?.description.hasPrefix("token id -5 at position 0: expected 0 to ") == true)
}

@Test(arguments: Kernels.allCases) func aStreamIsComputedWithTheSelectedKernels(kernels: Kernels) async throws {
  let selected = await Kernels.$selected.withValue(kernels) {
    await withCheckedContinuation { continuation in
      ComputeThread.shared.run { continuation.resume(returning: Kernels.selected) }
    }
  }
  #expect(selected == kernels)
}

@Test func allStreamsAreComputedOnOneThread() async {
  var threads: Set<ObjectIdentifier> = []
  for _ in 0..<5 {
    let thread = await withCheckedContinuation { continuation in
      ComputeThread.shared.run { continuation.resume(returning: ObjectIdentifier(Thread.current)) }
    }
    threads.insert(thread)
    await Task.yield()
  }
  #expect(threads.count == 1)
}
