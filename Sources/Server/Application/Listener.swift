import Foundation
import Hummingbird
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import WidebandCheckedInput

/// Listens at an address and answers by a router until it is stopped. The lock guards the services.
final class Listener: @unchecked Sendable {
  private let lock = NSLock()
  private var services: ServiceGroup?

  /// Listens until ``stop()``.
  ///
  /// - Parameters:
  ///   - grace: how long requests have to end after ``stop()``.
  ///   - writeTimeout: how long a client may take nothing of an answer that is ready for it.
  ///   - logger: gets errors of the server itself.
  ///   - onListening: called with the port once clients can connect.
  /// - Throws: `InputError` if the address cannot be used.
  func run(
    _ router: Router<ServerContext>, host: String, port: Int, grace: Duration, writeTimeout: Duration,
    logger: Logger,
    onListening: @escaping @Sendable (Int) -> Void
  ) async throws {
    var quiet = logger
    quiet.logLevel = .error
    let application = Application(
      router: router,
      server: .http1(
        configuration: .init(
          additionalChannelHandlers: [StalledWriteHandler(limit: writeTimeout), MalformedRequestHandler()],
          idleTimeout: .seconds(120))),
      configuration: .init(address: .hostname(host, port: port), backlog: 1024),
      onServerRunning: { onListening($0.localAddress?.port ?? port) }, logger: quiet)
    var configuration = ServiceGroupConfiguration(services: [application], logger: quiet)
    configuration.maximumGracefulShutdownDuration = grace
    let group = ServiceGroup(configuration: configuration)
    lock.withLock { services = group }
    try await Self.naming(host, port) { try await group.run() }
  }

  /// Listens for a moment.
  ///
  /// - Throws: `InputError` if the address cannot be used.
  static func requireAddress(_ host: String, _ port: Int) async throws {
    try await naming(host, port) {
      let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        // As of a server: connections of an earlier one that are not quite over do not matter.
        .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      try await bootstrap.bind(host: host, port: port).get().close()
    }
  }

  private static func naming(_ host: String, _ port: Int, _ body: () async throws -> Void) async throws {
    do { try await body() } catch let error as IOError {
      throw InputError("\(printable(host)):\(port): cannot listen: \(systemReason(error.errnoCode))")
    } catch is SocketAddressError.UnknownHost {
      throw InputError("\(printable(host)): cannot listen: there is no such host")
    }
  }

  /// Takes no further connection, and ends once the requests have ended.
  func stop() async { await lock.withLock { services }?.triggerGracefulShutdown() }
}
