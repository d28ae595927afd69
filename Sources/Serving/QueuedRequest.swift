import Foundation

/// A sequence on its way through the engine.
///
/// Unchecked: the queue's lock guards `isCancelled`, and everything else is constant.
final class QueuedSequence: @unchecked Sendable {
  let request: SequenceRequest
  let continuation: AsyncThrowingStream<SequenceEvent, any Error>.Continuation
  let arrival = ContinuousClock.now
  var isCancelled = false

  init(_ request: SequenceRequest, _ continuation: AsyncThrowingStream<SequenceEvent, any Error>.Continuation) {
    (self.request, self.continuation) = (request, continuation)
  }
}

/// The sequences of one request.
///
/// Unchecked: the queue's lock guards everything.
final class QueuedRequest: @unchecked Sendable {
  /// Those that the engine has not begun with.
  var waiting: ArraySlice<QueuedSequence>
  /// Whether the engine has begun with one.
  var hasBegun = false
  /// Those that it has begun with, and whose events have not been read to their end.
  var unread = 0

  init(_ sequences: [QueuedSequence]) { waiting = sequences[...] }
}
