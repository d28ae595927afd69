import WidebandCTorch
import WidebandTorch

/// The ranks of a distributed run, which exchange tensors.
///
/// All ranks call the same methods in the same order, with tensors of the same shape and dtype in the processor's memory;
/// each calls them from one thread. A rank that calls another method, or with another shape or dtype, is named in
/// `DistributedError.ranksDiffer` when the time for an operation is up. After that or `DistributedError.ranksLost` the
/// group is of no use, and every further call throws the same error: the process should end, and the run continue from
/// its last checkpoint in new processes.
public final class ProcessGroup {
  /// The number of this rank, from 0.
  public let rank: Int
  /// The number of ranks.
  public let size: Int
  /// The names of the hosts of all ranks.
  public let hosts: [String]

  /// Nil for one rank, which has nobody to connect to.
  private let connections: Connections?
  /// The error of a failure, after which the group is of no use.
  private var failure: DistributedError?

  /// The connections to the other ranks.
  private struct Connections {
    let group: OpaquePointer
    let detector: FailureDetector
  }

  /// Connects to all other ranks of a world.
  ///
  /// - Throws: `DistributedError.notStarted` if the master is not reached or a rank does not arrive in time.
  public convenience init(_ world: World) throws {
    guard let master = world.master else {
      self.init()
      return
    }
    let meeting = try Meeting(of: world, at: master)
    try self.init(
      rank: world.rank, hosts: meeting.hosts, store: meeting.store, address: meeting.address, timeout: world.timeout,
      isServer: meeting.isServer)
  }

  /// A group of one rank, which communicates with nobody.
  public convenience init() { self.init(host: Meeting.hostName) }

  private init(host: String) {
    (rank, size, hosts) = (0, 1, [host])
    connections = nil
  }

  /// Connects to the ranks that use the same store.
  ///
  /// - Parameters:
  ///   - address: the local address of the interface that reaches the other hosts.
  ///   - isServer: whether the store ends with this process.
  private init(rank: Int, hosts: [String], store: Store, address: String, timeout: Duration, isServer: Bool) throws {
    (self.rank, self.size, self.hosts) = (rank, hosts.count, hosts)
    guard
      let group = wb_process_group_create(
        store.pointer, Int32(clamping: rank), Int32(clamping: hosts.count), address, timeout.inSeconds)
    else {
      throw DistributedError.notStarted(
        "\(rankName(rank, hosts)) cannot connect to the other ranks from its address \(address): "
          + Failure(message: lastError(), timeout: timeout).reason)
    }
    do {
      let detector = try FailureDetector(
        rank: rank, size: size, store: store.clone(), timeout: timeout, isServer: isServer)
      connections = Connections(group: group, detector: detector)
    } catch {
      wb_process_group_release(group)
      throw DistributedError.notStarted("the store of the run failed: \(error.reason)")
    }
  }

  /// The rank of a thread among threads with the same store.
  convenience init(thread rank: Int, of size: Int, store: Store, timeout: Duration) throws {
    guard size > 1 else {
      self.init(host: "thread 0")
      return
    }
    try self.init(
      rank: rank, hosts: (0..<size).map { "thread \($0)" }, store: store, address: "127.0.0.1", timeout: timeout,
      isServer: false)
  }

  deinit {
    connections?.detector.stop()
    // The release of a group waits for operations that will never end. After a failure it is left to the process's end.
    if let connections, failure == nil { wb_process_group_release(connections.group) }
  }

  /// A rank in a message: "rank 2 (node-b)".
  public func name(of rank: Int) -> String { rankName(rank, hosts) }

  /// Runs a collective operation of the C interface, which returns nil after a failure.
  ///
  /// - Parameter name: what the operation has to be on all ranks.
  /// - Throws: `DistributedError.ranksLost`; `DistributedError.ranksDiffer` for another operation on another rank.
  func perform<Result>(_ name: String, _ operation: (OpaquePointer) -> Result?) throws -> Result {
    if let failure { throw failure }
    guard let connections else { throw DistributedError.wrongUse("a group of one rank has no operations") }
    wb_process_group_set_tag(connections.group, connections.detector.operationStarts(name))
    if let result = operation(connections.group) { return result }
    throw lost(after: lastError())
  }

  /// Tells the other ranks that this one ends by an error of its own, which they then give as the reason. Takes some
  /// seconds.
  ///
  /// - Parameter reason: the sentence of the error.
  public func end(because reason: String) {
    guard let connections, failure == nil else { return }
    let end = Failure(endOf: rank, reason: reason)
    failure = connections.detector.report(end).error(hosts: hosts, timeout: .zero)
  }

  /// The error of a collective operation that failed with a message of libtorch.
  func lost(after message: String) -> DistributedError {
    if let failure { return failure }
    guard let connections else { return .wrongUse(message) }
    let error = connections.detector.lostRanks(after: message, hosts: hosts)
    failure = error
    return error
  }
}
