import Foundation
import WidebandCheckedInput
import WidebandDecoding
import WidebandTorch

/// Decodes the sequences of many requests together on one thread.
///
/// ```swift
/// let engine = try ServingEngine(model, options: ServingOptions())
/// for try await event in try engine.submit([request]).events[0] { … }
/// ```
///
/// Requests join and leave between steps. Prompts are processed in chunks between decoding steps, so that a long one
/// does not stop the others. With direct decoding all sequences begin their cycles together.
///
/// A sequence has the tokens and log-probabilities that it would have alone, bit for bit, with the fused kernels of the
/// CPU and weights in float32, bfloat16, int8 or int4. With weights in float16, composed kernels and on GPUs the rounding
/// of a sequence depends on the others.
public final class ServingEngine: Sendable {
  /// The model.
  public let model: LoadedModel
  /// The options.
  public let options: ServingOptions
  /// The number of positions of a sequence.
  public let context: Int

  private let queue: RequestQueue

  /// Starts the engine's thread.
  ///
  /// - Throws: `GenerationError` for options that do not suit the model.
  public init(_ model: LoadedModel, options: ServingOptions) throws {
    let modelContext = model.model.configuration.contextLength
    let context = options.context ?? min(4096, modelContext)
    guard (1...modelContext).contains(context) else {
      throw GenerationError.invalidOption(
        "context is \(context): expected 1 to \(modelContext), the context of the model")
    }
    var generation = GenerationOptions()
    (generation.cycle, generation.draftMethod) = (options.cycle, options.draftMethod)
    try generation.validate()
    (self.model, self.options, self.context) = (model, options, context)
    queue = RequestQueue(limit: options.queue, parallel: options.parallel)
    let scheduler = try Scheduler(model, options, context: context, queue)
    let kernels = Kernels.selected
    let thread = Thread { Kernels.$selected.withValue(kernels) { scheduler.run() } }
    thread.name = "wideband.serving"
    thread.stackSize = 16 << 20
    thread.start()
  }

  /// Puts the sequences of a request into the queue, together. Leaving the stream of a sequence, or cancelling its task,
  /// frees its place within a step.
  ///
  /// - Throws: ``ServingError`` for a sequence that is invalid or does not fit, and where the queue is full.
  public func submit(_ requests: [SequenceRequest]) throws -> SubmittedSequences {
    for request in requests { try validate(request) }
    var sequences: [QueuedSequence] = []
    let events = requests.map { request in
      let (stream, continuation) = AsyncThrowingStream.makeStream(of: SequenceEvent.self)
      let queued = QueuedSequence(request, continuation)
      continuation.onTermination = { [queue] _ in queue.wake { queued.isCancelled = true } }
      sequences.append(queued)
      return stream
    }
    let request = QueuedRequest(sequences)
    try queue.post(request)
    return SubmittedSequences(events: events) { [queue] in queue.didRead(request) }
  }

  /// What the engine does now.
  public var statistics: ServingStatistics { queue.statistics }

  /// Whether the engine's thread computes, or waits for requests.
  public var isAlive: Bool { queue.isAlive }

  /// Refuses new requests; those in the queue are still answered. Returns when all are, or at a deadline.
  public func drain(within seconds: Double) async {
    queue.stop()
    let end = ContinuousClock.now + .seconds(seconds)
    while queue.isAlive, ContinuousClock.now < end { try? await Task.sleep(for: .milliseconds(20)) }
    queue.abort()
  }

  private func validate(_ request: SequenceRequest) throws {
    let size = model.model.configuration.vocabularySize
    guard !request.prompt.isEmpty else {
      throw ServingError.invalid("the prompt is empty: expected at least one token")
    }
    for id in request.prompt + request.logitBias.keys where !(0..<TokenID(clamping: size)).contains(id) {
      throw ServingError.invalid("token \(id): expected the id of a token, from 0 to \(size - 1)")
    }
    do { try request.sampling.validate() } catch { throw ServingError.invalid("\(error)") }
    guard request.maximumTokens >= 0, request.prompt.count + request.maximumTokens <= context else {
      throw ServingError.contextExceeded(
        promptTokens: request.prompt.count, maximumTokens: request.maximumTokens, context: context)
    }
  }
}

/// The sequences of a request that are in the engine.
public struct SubmittedSequences: Sendable {
  /// What happens to each.
  public let events: [AsyncThrowingStream<SequenceEvent, any Error>]
  /// To be called when the events of a sequence have been read to their end.
  ///
  /// The engine holds the events of a client that reads slowly. It begins with no further sequence of the request while
  /// as many are unread as it decodes at the same time.
  public let didRead: @Sendable () -> Void
}
