import Foundation
import Hummingbird
import Logging
import WidebandCheckedInput

/// Shows the curves of a training run in the browser while it goes on. It reads the files that the run writes.
///
/// ```swift
/// let server = DashboardServer(run)
/// let port = try await server.start(port: 8081)
/// …
/// await server.stop(.finished)
/// ```
///
/// Other machines cannot connect.
public final class DashboardServer: @unchecked Sendable {
  /// The address of this machine for itself.
  public static let host = "127.0.0.1"

  private let run: DashboardRun
  /// By which a page notices that another run has begun at its address.
  private let id = randomID()
  private let listener = Listener()
  private let start = ContinuousClock.now
  /// Guards what follows.
  private let lock = NSLock()
  private var listening: Task<Void, any Error>?
  private var state = DashboardRun.State.running

  /// A server for one run.
  public init(_ run: DashboardRun) { self.run = run }

  /// Listens from now on until ``stop(_:)``, and returns the port.
  ///
  /// - Parameter port: the port; 0 for any free one.
  /// - Throws: `InputError` if the port cannot be used.
  public func start(port: Int) async throws -> Int {
    let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
    let router = router()
    let task = Task { [listener] in
      defer { continuation.finish() }
      let logger = Logger(label: "wideband.dashboard") { _ in SwiftLogNoOpLogHandler() }
      // A page that does not read its answer must not keep the run from ending.
      try await listener.run(
        router, host: Self.host, port: port, grace: .seconds(2), writeTimeout: .seconds(60), logger: logger
      ) {
        continuation.yield($0)
      }
    }
    lock.withLock { listening = task }
    for await port in ports { return port }
    try await task.value
    throw CancellationError()
  }

  /// Tells the pages that are open how the run ended, and stops listening.
  public func stop(_ state: DashboardRun.State) async {
    let task = lock.withLock {
      self.state = state
      return listening
    }
    await listener.stop()
    try? await task?.value
  }

  private func router() -> Router<ServerContext> {
    let router = Router(context: ServerContext.self, options: .autoGenerateHeadEndpoints)
    let logger = Logger(label: "wideband.dashboard") { _ in SwiftLogNoOpLogHandler() }
    router.add(middleware: RecordMiddleware(metrics: ServerMetrics(), logger: logger))
    router.add(middleware: BrowserMiddleware(host: Self.host, needsKey: false, allowedOrigin: nil))
    for file in Page.dashboard { router.get(.init(file.path)) { _, _ in Response.file(file) } }
    router.get("/run") { [self] request, _ in
      let metrics = try Self.offset("metrics", of: request), log = try Self.offset("log", of: request)
      let waits = request.uri.queryParameters["wait"] == "true"
      return Response.json(try await answer(metrics: metrics, log: log, waits: waits))
    }
    return router
  }

  private static func offset(_ name: String, of request: Request) throws -> Int {
    guard let text = request.uri.queryParameters[Substring(name)] else { return 0 }
    guard let offset = Int(text), offset >= 0 else {
      throw APIError.invalid("\(name) is \(quoted(text)): expected an offset in bytes", parameter: name)
    }
    return offset
  }

  /// What was written after the offsets.
  ///
  /// If it `waits` for something new, a page that asks again at once asks about once a second, and hears of the run's end
  /// before the process ends.
  private func answer(metrics: Int, log: Int, waits: Bool) async throws -> JSONValue {
    let asked = ContinuousClock.now
    while true {
      // Before the files are read, so that the answer with the end has all lines.
      let state = lock.withLock { self.state }
      let metricsTail = try LineTail(of: run.metricsPath, from: metrics)
      let logTail = try LineTail(of: run.logPath, from: log)
      let isNew = metricsTail.end > metrics || logTail.end > log
      let isLong = isNew && (metricsTail.isCut || logTail.isCut)
      let wait = isNew ? Duration.seconds(1) : .seconds(15)
      if !waits || isLong || state != .running || ContinuousClock.now - asked >= wait {
        return json(state, metricsTail, logTail)
      }
      try await Task.sleep(for: .milliseconds(50))
    }
  }

  private func json(_ state: DashboardRun.State, _ metrics: LineTail, _ log: LineTail) -> JSONValue {
    let seconds = Int(clamping: (ContinuousClock.now - start) / .seconds(1))
    return [
      "id": .string(id), "name": .string(run.name), "steps": JSONValue(run.steps),
      "tokens_per_step": JSONValue(run.tokensPerStep), "seconds": JSONValue(seconds),
      "rows": .array(run.rows.map { [.string($0.key), .string($0.value)] }),
      "state": .string(state.name), "message": JSONValue(state.message),
      "metrics": metrics.json, "log": log.json,
    ]
  }
}
