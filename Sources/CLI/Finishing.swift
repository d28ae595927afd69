import Dispatch

/// Runs asynchronous work to its end, on other threads than this one, and returns its result.
@discardableResult
func finishing<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) throws -> Value {
  let outcome = Outcome<Value>()
  let done = DispatchSemaphore(value: 0)
  Task {
    do { outcome.result = .success(try await body()) } catch { outcome.result = .failure(error) }
    done.signal()
  }
  done.wait()
  return try outcome.result.get()
}

/// How asynchronous work ended. It is read after the semaphore that the work signals.
private final class Outcome<Value: Sendable>: @unchecked Sendable {
  var result: Result<Value, any Error> = .failure(CancellationError())
}
