import Foundation
import WidebandCTorch
import WidebandCheckedInput
import WidebandTorch

/// The start of a run: every rank connects to the store, and waits for the others.
struct Meeting {
  /// The store of this attempt to run.
  let store: Store
  /// Whether this process serves the store.
  let isServer: Bool
  /// The names of the hosts of all ranks.
  let hosts: [String]
  /// The local address of the interface that reaches the other hosts.
  let address: String

  /// Meets the other ranks of a world.
  ///
  /// - Throws: `DistributedError.notStarted`.
  init(of world: World, at master: World.Master) throws {
    // libtorch waits forever for a server that accepts a connection and says nothing. The thread is then left alone.
    let outcome = Outcome()
    let isDone = DispatchSemaphore(value: 0)
    Thread {
      outcome.result = Result { try Meeting(waitingFor: world, at: master) }
      isDone.signal()
    }.start()
    let limit = world.startTimeout + .seconds(5)
    guard isDone.wait(timeout: .now() + limit.inSeconds) == .success, let result = outcome.result else {
      throw Self.unreachable(master, isServer: false, after: limit, "it does not answer as the store of a run")
    }
    self = try result.get()
  }

  private final class Outcome: @unchecked Sendable {
    var result: Result<Meeting, any Error>?
  }

  private init(waitingFor world: World, at master: World.Master) throws {
    let start = ContinuousClock.now
    isServer = world.rank == 0 && !master.isServedByLauncher
    let common = try Self.connect(to: master, serves: isServer, within: world.startTimeout)
    do {
      let own = Arrival(host: Self.hostName, address: try Self.address(toward: master.host), size: world.size)
      let attempt = try Attempt(of: own, rank: world.rank, in: common, within: world.startTimeout, since: start)
      store = attempt.store
      hosts = attempt.arrivals.map(\.host)
      // A host that is itself the master may know its own name by an address that no other host reaches it at.
      let remote = Self.isLoopback(own.address) ? attempt.arrivals.first { !Self.isLoopback($0.address) } : nil
      address = try remote.map { try Self.address(toward: $0.address) } ?? own.address
    } catch {
      // The others find the same reason in the store, which ends with this process.
      if isServer { Thread.sleep(forTimeInterval: 1) }
      guard let error = error as? StoreError else { throw error }
      throw DistributedError.notStarted("the store of the run at \(master.name) failed: \(error.reason)")
    }
  }

  /// The name of this host.
  static let hostName: String = {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "unknown" }
    return printable(String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
  }()

  private static func connect(to master: World.Master, serves: Bool, within time: Duration) throws -> Store {
    do { return try Store(at: master, serves: serves, within: time) } catch {
      let reason =
        if error.reason.contains("EADDRINUSE") {
          "another process uses the port"
        } else if wb_local_address(master.host) == nil {
          // libtorch says only that time is up.
          lastError()
        } else if error.reason.contains("timed out") {
          "nothing answers there"
        } else {
          error.reason
        }
      throw unreachable(master, isServer: serves, after: time, reason)
    }
  }

  private static func unreachable(
    _ master: World.Master, isServer: Bool, after time: Duration, _ reason: String
  ) -> DistributedError {
    let server = master.isServedByLauncher ? "the launcher's store" : "rank 0"
    return .notStarted(
      isServer
        ? "cannot serve the store of the run at \(master.name): \(reason)"
        : "cannot reach \(server) at \(master.name) within \(time.text): \(reason)")
  }

  private static func address(toward host: String) throws -> String {
    guard let address = wb_local_address(host) else {
      throw DistributedError.notStarted("cannot reach \(printable(host)): \(lastError())")
    }
    return String(cString: address)
  }

  private static func isLoopback(_ address: String) -> Bool { address.hasPrefix("127.") || address == "::1" }
}

extension World.Master {
  /// "node-a:29500".
  var name: String { "\(printable(host)):\(port)" }
}
