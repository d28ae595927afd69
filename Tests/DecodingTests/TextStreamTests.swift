import Foundation
import Testing

@testable import Decoding

private func options(tokens: Int) -> GenerationOptions {
  var options = GenerationOptions()
  options.seed = 9
  options.maximumTokens = tokens
  return options
}

@Test(.timeLimit(.minutes(5))) func aStreamIsTheGeneratedText() async throws {
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

/// A hundred thousand tokens would take minutes, and the second stream waits for the first one's end.
@Test(.timeLimit(.minutes(5))) func leavingAStreamEndsItsComputation() async throws {
  let model = try Fixtures.loaded(contextLength: 200_000)
  var count = 0
  for try await _ in model.stream([1, 2, 3], options: options(tokens: 100_000)) {
    count += 1
    if count == 3 { break }
  }
  let task = Task {
    for try await _ in model.stream([1, 2, 3], options: options(tokens: 100_000)) {}
  }
  try await Task.sleep(for: .milliseconds(50))
  task.cancel()
  _ = await task.result
  var finished = false
  for try await event in model.stream([4, 5], options: options(tokens: 2)) {
    if case .finished = event { finished = true }
  }
  #expect(finished)
}

@Test(.timeLimit(.minutes(5))) func aStreamThrowsWhatGenerationThrows() async throws {
  let model = try Fixtures.loaded()
  let error = await #expect(throws: GenerationError.self) {
    for try await _ in model.stream([-5]) {}
  }
  #expect(error?.description.hasPrefix("token id -5 at position 0: expected 0 to ") == true)
}

@Test(.timeLimit(.minutes(5))) func allStreamsAreComputedOnOneThread() async {
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
