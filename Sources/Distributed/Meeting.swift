import Foundation
import WidebandCTorch
import WidebandCheckedInput
import WidebandTorch

/// The start of a run: every rank writes into the store that it has arrived, and waits for the others.
struct Meeting {
  let store: Store
  /// Whether this process serves the store.
  let isServer: Bool
  /// The names of the hosts of all ranks.
  let hosts: [String]
  /// The local address of the interface that reaches the other hosts.
  let address: String

  /// What a rank says of itself.
  private struct Arrival {
    let host: String
    let address: String
    let size: Int

    var text: String { "\(host)\n\(address)\n\(size)" }

    init(host: String, address: String, size: Int) {
      (self.host, self.address, self.size) = (host, address, size)
    }

    init?(_ text: String) {
      let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
      guard lines.count == 3, let size = Int(lines[2]) else { return nil }
      self.init(host: lines[0], address: lines[1], size: size)
    }
  }

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
    let deadline = ContinuousClock.now + world.startTimeout
    isServer = world.rank == 0 && !master.isServedByLauncher
    store = try Self.connect(to: master, serves: isServer, within: world.startTimeout)
    do {
      let own = Arrival(host: Self.hostName, address: try Self.address(toward: master.host), size: world.size)
      try Self.arrive(own, as: world.rank, in: store, of: master)
      let arrivals = try (0..<world.size).map { [store] rank in
        let arrival = try Self.arrival(of: rank, in: store, of: world, at: master, until: deadline)
        guard arrival.size == world.size else {
          throw DistributedError.notStarted(
            "rank \(rank) (\(arrival.host)) belongs to a world of \(arrival.size) ranks, and "
              + "rank \(world.rank) (\(own.host)) to one of \(world.size)")
        }
        return arrival
      }
      hosts = arrivals.map(\.host)
      // A host that is itself the master may know its own name by an address that no other host reaches it at.
      let remote = Self.isLoopback(own.address) ? arrivals.first { !Self.isLoopback($0.address) } : nil
      address = try remote.map { try Self.address(toward: $0.address) } ?? own.address
    } catch {
      // The others find the same reason in the store, which ends with this process.
      if isServer { Thread.sleep(forTimeInterval: 1) }
      throw error
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

  /// Writes that this rank has arrived.
  private static func arrive(_ own: Arrival, as rank: Int, in store: Store, of master: World.Master) throws {
    let key = "arrived/\(rank)"
    do {
      if try !store.has(key) { return try store.set(key, own.text) }
    } catch { throw failed(master, error) }
    throw DistributedError.notStarted(
      "rank \(rank) has arrived at \(master.name) already: expected one process for each rank, and all to start together"
    )
  }

  private static func address(toward host: String) throws -> String {
    guard let address = wb_local_address(host) else {
      throw DistributedError.notStarted("cannot reach \(printable(host)): \(lastError())")
    }
    return String(cString: address)
  }

  /// What a rank says of itself.
  private static func arrival(
    of rank: Int, in store: Store, of world: World, at master: World.Master, until deadline: ContinuousClock.Instant
  ) throws -> Arrival {
    let time = max(.milliseconds(1), deadline - .now)
    if let text = try? store.get("arrived/\(rank)", within: time), let arrival = Arrival(text) { return arrival }
    let missing: [Int]
    do { missing = try store.missing("arrived", of: 0..<world.size) } catch { throw failed(master, error) }
    throw DistributedError.notStarted(
      "\(missing.count == 1 ? "rank" : "ranks") \(list(missing.map(String.init))) of \(world.size) did not arrive within "
        + world.startTimeout.text)
  }

  private static func failed(_ master: World.Master, _ error: StoreError) -> DistributedError {
    .notStarted("the store of the run at \(master.name) failed: \(error.reason)")
  }

  private static func isLoopback(_ address: String) -> Bool { address.hasPrefix("127.") || address == "::1" }
}

extension World.Master {
  /// "node-a:29500".
  var name: String { "\(printable(host)):\(port)" }
}
