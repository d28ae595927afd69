import Foundation
import Hummingbird
import Logging
import WidebandCheckedInput
import WidebandServing

/// What is known about an HTTP request, for its line in the log. The lock guards everything that changes.
final class RequestRecord: @unchecked Sendable {
  /// The id in the log, in the answer and in the header `x-request-id`.
  let id = randomID()
  private let lock = NSLock()
  private let arrival = ContinuousClock.now
  private var usage: Usage?
  private var queued = 0.0, firstToken = 0.0
  private var failure: String?
  private var streams = false

  /// Whether the body of the response is still to be written when its handler has returned.
  var isStreaming: Bool {
    get { lock.withLock { streams } }
    set { lock.withLock { streams = newValue } }
  }

  /// Notes the tokens of the answer.
  func set(_ usage: Usage) { lock.withLock { self.usage = usage } }

  /// Notes the times of a sequence; the longest count.
  func note(_ end: FinishedSequence) {
    lock.withLock {
      queued = max(queued, end.queuedSeconds)
      firstToken = max(firstToken, end.firstTokenSeconds)
    }
  }

  /// Notes why a request was not answered, or not to the end.
  func fail(_ reason: String) { lock.withLock { failure = reason } }

  /// Notes an error of the server. Sentences of the engine have no text of the request; of others the line has the kind.
  func fail(_ error: any Error) {
    let kind = "\(APIError(error).code ?? "error") \(type(of: error))"
    if case ServingError.failed(let sentence) = error { fail("\(kind): \(sentence)") } else { fail(kind) }
  }

  /// Writes the line, which has nothing of the request's text.
  func log(_ request: Request, status: Int, to logger: Logger) {
    let line = lock.withLock {
      var fields = [
        id, request.method.rawValue, printable(request.uri.path), "\(status)",
        "seconds=\(rounded((ContinuousClock.now - arrival) / .seconds(1)))",
      ]
      if let usage {
        fields += [
          "prompt=\(usage.promptTokens)", "cached=\(usage.cachedTokens)", "generated=\(usage.generatedTokens)",
          "queued=\(rounded(queued))", "first=\(rounded(firstToken))",
        ]
      }
      if let failure { fields.append(failure) }
      return fields.joined(separator: " ")
    }
    logger.info("\(line)")
  }

  private func rounded(_ seconds: Double) -> Double { (seconds * 1000).rounded() / 1000 }
}

/// The context of a request on its way through the server.
struct ServerContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  let record = RequestRecord()

  init(source: ApplicationRequestContextSource) { coreContext = .init(source: source) }
}

/// Writes each message as one line with its time, control characters escaped.
struct LineLogHandler: LogHandler {
  var logLevel = Logger.Level.info
  var metadata: Logger.Metadata = [:]
  var metadataProvider: Logger.MetadataProvider?
  /// Writes a line.
  let write: @Sendable (String) -> Void

  init(_ write: @escaping @Sendable (String) -> Void) { self.write = write }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let time = Date.now.formatted(.iso8601)
    let level = event.level == .info ? "" : "\(event.level): "
    write("\(time) \(level)\(printable(event.message.description, limit: 2000))")
  }
}
