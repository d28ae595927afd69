import Foundation
import Hummingbird
import Logging
import WidebandServing

/// Answers clients of the OpenAI API over HTTP.
///
/// ```swift
/// let server = APIServer(try ServingEngine(model, options: ServingOptions()), options: ServerOptions())
/// try await server.run()
/// ```
///
/// There is no TLS: a proxy in front of it may have that.
public final class APIServer: Sendable {
  let engine: ServingEngine
  let options: ServerOptions
  let metrics = ServerMetrics()
  /// Gets a line for each request.
  let logger: Logger
  /// When the server was created, in seconds since 1970.
  let startTime = Int(Date().timeIntervalSince1970)
  private let listener = Listener()
  private let life = Life()

  /// - Parameter log: is given each line of the log.
  public init(
    _ engine: ServingEngine, options: ServerOptions, log: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    (self.engine, self.options) = (engine, options)
    logger = Logger(label: "wideband.server") { _ in LineLogHandler(log) }
  }

  /// Whether requests are accepted.
  var isReady: Bool { engine.isAlive && !life.isStopping }

  /// Fails where a server with these options could not listen, as at a port that another program has.
  ///
  /// - Throws: `InputError` if the address cannot be used.
  public static func requireAddress(of options: ServerOptions) async throws {
    try await Listener.requireAddress(options.host, options.port)
  }

  /// Listens until ``stop()``.
  ///
  /// - Parameter onListening: called with the port once clients can connect.
  /// - Throws: `InputError` if the address cannot be used.
  public func run(onListening: @escaping @Sendable (Int) -> Void = { _ in }) async throws {
    try await listener.run(
      router(), host: options.host, port: options.port, grace: .seconds(5),
      writeTimeout: options.writeTimeout, logger: logger, onListening: onListening)
  }

  /// Refuses new requests with status 503, gives those in the engine their time to end, and stops listening.
  public func stop() async {
    life.stop()
    await engine.drain(within: options.drainSeconds)
    await listener.stop()
  }
}

/// Whether a server is being stopped. The lock guards it.
private final class Life: @unchecked Sendable {
  private let lock = NSLock()
  private var stopping = false

  var isStopping: Bool { lock.withLock { stopping } }
  func stop() { lock.withLock { stopping = true } }
}
