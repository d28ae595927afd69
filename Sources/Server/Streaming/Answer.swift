import Hummingbird
import WidebandCheckedInput
import WidebandServing

/// The answer to a completion request, whose sequences are in the engine.
struct Answer: Sendable {
  let generation: Generation
  let progress: AnswerProgress
  let envelope: Envelope
  let includesUsage: Bool
  let server: APIServer

  /// The whole answer. A client that goes away cancels it.
  func whole(for request: Request) async throws -> Response {
    try await request.body.consumeWithCancellationOnInboundClose { _ in
      var progress = progress
      try await generation.run { update in
        if case .event(let index, let event) = update { _ = try progress.append(event, of: index) }
      }
      var response = Response.json(envelope.answer(progress.choices, progress.usage))
      // Watching the client has used its connection up.
      response.headers[.connection] = "close"
      return response
    }
  }

  /// The answer as server-sent events, whose headers are sent at once. A client that goes away cancels it.
  func streamed(for request: Request, _ record: RequestRecord) -> Response {
    record.isStreaming = true
    let headers: HTTPFields = [
      .contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-cache", .connection: "close",
      .proxyBuffering: "no",
    ]
    let body = ResponseBody { writer in
      defer { record.log(request, status: 200, to: server.logger) }
      do {
        try await request.body.consumeWithCancellationOnInboundClose { _ in
          do { try await write(to: &writer) } catch let error where !(error is CancellationError) {
            record.fail(error)
            try await writer.write(ServerSentEvent.data(APIError(error).json))
          }
        }
      } catch {
        record.fail("the client has gone")
        throw error
      }
      try await writer.finish(nil)
    }
    return Response(status: .ok, headers: headers, body: body)
  }

  private func write(to writer: inout any ResponseBodyWriter) async throws {
    var progress = progress
    let keepAlive = server.options.keepAlive
    // Text of a call is held back, so that events do not always write anything.
    var lastWrite = ContinuousClock.now
    try await generation.run(tick: keepAlive / 2) { update in
      switch update {
      case .tick:
        guard ContinuousClock.now - lastWrite >= keepAlive else { return }
        try await writer.write(ServerSentEvent.comment)
        lastWrite = .now
      case .event(let index, let event):
        for choice in try progress.append(event, of: index) {
          try await writer.write(ServerSentEvent.data(envelope.part(choice)))
          lastWrite = .now
        }
      }
    }
    if includesUsage { try await writer.write(ServerSentEvent.data(envelope.part(progress.usage))) }
    try await writer.write(ServerSentEvent.done)
  }
}

/// An answer in the making: what the events of its sequences are turned into, and what they count.
struct AnswerProgress: Sendable {
  private(set) var usage = Usage()
  private var writers: [any ChoiceWriter]
  private let choicesPerPrompt: Int
  private let metrics: ServerMetrics
  private let record: RequestRecord
  /// When the last tokens of each sequence came.
  private var lastTokens: [ContinuousClock.Instant?]

  /// - Parameter writers: one for each sequence, choices of a prompt next to each other.
  init(_ writers: [any ChoiceWriter], choicesPerPrompt: Int, metrics: ServerMetrics, record: RequestRecord) {
    (self.writers, self.choicesPerPrompt, self.metrics, self.record) = (writers, choicesPerPrompt, metrics, record)
    lastTokens = Array(repeating: nil, count: writers.count)
  }

  /// Takes an event of a sequence, and returns the choice's objects in the parts of a stream.
  mutating func append(_ event: SequenceEvent, of index: Int) throws -> [JSONValue] {
    usage.count(event, isFirst: index.isMultiple(of: choicesPerPrompt))
    switch event {
    case .started: break
    case .text(_, let tokens, _):
      guard !tokens.isEmpty else { break }
      let now = ContinuousClock.now
      if let last = lastTokens[index] { metrics.count(tokens: tokens.count, after: (now - last) / .seconds(1)) }
      lastTokens[index] = now
    case .finished(let end):
      metrics.count(end)
      record.note(end)
      record.set(usage)
    }
    return try writers[index].append(event)
  }

  /// The whole choices, once all sequences have finished.
  var choices: [JSONValue] { writers.map(\.whole) }
}

/// The lines of a stream of server-sent events.
enum ServerSentEvent {
  /// An object.
  static func data(_ json: JSONValue) -> ByteBuffer { ByteBuffer(string: "data: \(json.text())\n\n") }
  /// The last event.
  static let done = ByteBuffer(string: "data: [DONE]\n\n")
  /// A comment, which clients skip: it keeps proxies from giving the connection up.
  static let comment = ByteBuffer(string: ": keep-alive\n\n")
}
