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
/// does not stop the others. A sequence has the tokens that it would have alone, bit for bit. With direct decoding all
/// sequences begin their cycles together.
public final class ServingEngine: Sendable {
  /// The model.
  public let model: LoadedModel
  /// The options, with the context resolved.
  public let options: ServingOptions

  private let mailbox: Mailbox

  /// Starts the engine's thread.
  ///
  /// - Throws: `GenerationError` for options that do not suit the model.
  public init(_ model: LoadedModel, options: ServingOptions) throws {
    let modelContext = model.model.configuration.contextLength
    var options = options
    let context = options.context ?? min(4096, modelContext)
    guard (1...modelContext).contains(context) else {
      throw GenerationError.invalidOption(
        "context is \(context): expected 1 to \(modelContext), the context of the model")
    }
    options.context = context
    var generation = GenerationOptions()
    (generation.cycle, generation.draftMethod) = (options.cycle, options.draftMethod)
    try generation.validate()
    (self.model, self.options) = (model, options)
    mailbox = Mailbox(queue: options.queue, unreadLimit: options.parallel)
    let scheduler = try Scheduler(model, options, context: context, mailbox)
    let kernels = Kernels.selected
    let thread = Thread { Kernels.$selected.withValue(kernels) { scheduler.run() } }
    thread.name = "wideband.serving"
    thread.stackSize = 16 << 20
    thread.start()
  }

  /// The number of positions of a sequence.
  public var context: Int { options.context ?? 0 }

  /// Puts the sequences of a request into the queue, together. Leaving the stream of a sequence, or cancelling its task,
  /// frees its place within a step.
  ///
  /// - Throws: ``ServingError`` for a sequence that is invalid or does not fit, and where the queue is full.
  public func submit(_ requests: [SequenceRequest]) throws -> SubmittedSequences {
    for request in requests { try validate(request) }
    var jobs: [Job] = []
    let events = requests.map { request in
      let (stream, continuation) = AsyncThrowingStream.makeStream(of: SequenceEvent.self)
      let job = Job(request, continuation)
      continuation.onTermination = { [mailbox] _ in mailbox.wake { job.isCancelled = true } }
      jobs.append(job)
      return stream
    }
    let group = JobGroup(jobs)
    try mailbox.post(group)
    return SubmittedSequences(events: events) { [mailbox] in mailbox.didRead(group) }
  }

  /// What the engine does now.
  public var statistics: ServingStatistics { mailbox.statistics }

  /// Whether the engine's thread computes, or waits for requests.
  public var isAlive: Bool { mailbox.isAlive }

  /// Refuses new requests; those in the queue are still answered. Returns when all are, or at a deadline.
  public func drain(within seconds: Double) async {
    mailbox.stop()
    let end = ContinuousClock.now + .seconds(seconds)
    while mailbox.isAlive, ContinuousClock.now < end { try? await Task.sleep(for: .milliseconds(20)) }
    mailbox.abort()
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
