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
    let deadline = ContinuousClock.now + world.startTimeout
    isServer = world.rank == 0 && !master.isServedByLauncher
    store = try Self.connect(to: master, serves: isServer, within: world.startTimeout)
    let own = Arrival(host: Self.hostName, address: try Self.address(toward: master.host), size: world.size)
    do { try store.set("arrived/\(world.rank)", own.text) } catch { throw Self.failed(master, error) }
    let arrivals = try (0..<world.size).map { [store] rank in
      try Self.arrival(of: rank, in: store, of: world, at: master, until: deadline)
    }
    hosts = arrivals.map(\.host)
    if let other = arrivals.firstIndex(where: { $0.size != world.size }) {
      throw DistributedError.notStarted(
        "\(rankName(other, hosts)) belongs to a world of \(arrivals[other].size) ranks, and "
          + "\(rankName(world.rank, hosts)) to one of \(world.size)")
    }
    // A host that is itself the master may know its own name by an address that no other host reaches it at.
    let remote = Self.isLoopback(own.address) ? arrivals.first { !Self.isLoopback($0.address) } : nil
    address = try remote.map { try Self.address(toward: $0.address) } ?? own.address
  }

  /// The name of this host.
  static let hostName: String = {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "unknown" }
    return printable(String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
  }()

  private static func connect(to master: World.Master, serves: Bool, within time: Duration) throws -> Store {
    do { return try Store(at: master, serves: serves, within: time) } catch {
      // libtorch says only that time is up where the name is unknown.
      let reason = wb_local_address(master.host) == nil ? lastError() : error.reason
      throw DistributedError.notStarted(
        "\(serves ? "cannot serve the store of the run at" : "cannot reach rank 0 at") "
          + "\(master.name) (waited up to \(time.text)): \(reason)")
    }
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
    let names = list(missing.prefix(8).map(String.init)) + (missing.count > 8 ? " and others" : "")
    throw DistributedError.notStarted(
      "\(missing.count == 1 ? "rank" : "ranks") \(names) of \(world.size) did not arrive within "
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
