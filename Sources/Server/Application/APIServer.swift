import Foundation
import Hummingbird
import Logging
import NIOCore
import ServiceLifecycle
import WidebandCheckedInput
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

  /// Listens until ``stop()``.
  ///
  /// - Parameter onListening: called with the port once clients can connect.
  /// - Throws: `InputError` if the address cannot be used.
  public func run(onListening: @escaping @Sendable (Int) -> Void = { _ in }) async throws {
    var quiet = logger
    quiet.logLevel = .error
    let port = options.port
    let application = Application(
      router: router(), server: .http1(configuration: .init(idleTimeout: .seconds(120))),
      configuration: .init(address: .hostname(options.host, port: port), backlog: 1024),
      onServerRunning: { onListening($0.localAddress?.port ?? port) }, logger: quiet)
    var configuration = ServiceGroupConfiguration(services: [application], logger: quiet)
    configuration.maximumGracefulShutdownDuration = .seconds(5)
    let group = ServiceGroup(configuration: configuration)
    life.begin(group)
    do { try await group.run() } catch let error as IOError {
      throw InputError("\(printable(options.host)):\(port): cannot listen: \(systemReason(error.errnoCode))")
    } catch is SocketAddressError.UnknownHost {
      throw InputError("\(printable(options.host)): cannot listen: there is no such host")
    }
  }

  /// Refuses new requests with status 503, gives those in the engine their time to end, and stops listening.
  public func stop() async {
    life.stop()
    await engine.drain(within: options.drainSeconds)
    await life.group?.triggerGracefulShutdown()
  }
}

/// The state of a server. The lock guards it.
private final class Life: @unchecked Sendable {
  private let lock = NSLock()
  private var services: ServiceGroup?
  private var stopping = false

  var group: ServiceGroup? { lock.withLock { services } }
  var isStopping: Bool { lock.withLock { stopping } }
  func begin(_ group: ServiceGroup) { lock.withLock { services = group } }
  func stop() { lock.withLock { stopping = true } }
}
