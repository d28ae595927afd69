import WidebandCTorch
import WidebandTorch

/// Collective operations. All of them throw `DistributedError.ranksLost` when a rank is lost, and
/// `DistributedError.ranksDiffer` when the ranks do not call the same with tensors of the same shape and dtype.
extension ProcessGroup {
  /// Sends each rank its part of a vector, and returns the parts that this rank was sent.
  ///
  /// - Parameter input: `[size n]`: part r is for rank r.
  /// - Returns: `[size n]`: part r is from rank r.
  public func allToAll(_ input: Tensor) throws -> Tensor { try startAllToAll(input).wait() }

  /// The same as `allToAll`, while this rank continues. Operations may be started one after the other before the first
  /// is waited for.
  public func startAllToAll(_ input: Tensor) throws -> PendingExchange {
    let source = try vector(input, for: "allToAll")
    guard source.count % size == 0 else {
      throw DistributedError.wrongUse(
        "allToAll: a vector of \(source.count) elements: expected a multiple of \(size), the number of ranks")
    }
    return try start("allToAll", of: source, wb_process_group_start_all_to_all)
  }

  /// Collects a vector of every rank.
  ///
  /// - Parameter input: `[n]`, with the same n on all ranks.
  /// - Returns: `[size n]`, in the order of ranks.
  public func allGather(_ input: Tensor) throws -> Tensor { try startAllGather(input).wait() }

  /// The same as `allGather`, while this rank continues.
  public func startAllGather(_ input: Tensor) throws -> PendingExchange {
    try start("allGather", of: try vector(input, for: "allGather"), wb_process_group_start_all_gather)
  }

  /// Starts a collective operation of the C interface; a rank alone gets what it sends.
  private func start(
    _ name: String, of source: Tensor, _ operation: (OpaquePointer, OpaquePointer) -> OpaquePointer?
  ) throws -> PendingExchange {
    guard size > 1 else { return PendingExchange(of: self, result: try withTorch { source.cloned() }) }
    return PendingExchange(
      of: self,
      exchange: try perform("\(name) of \(source.dtype)\(source.shape)") { group in
        source.pointer.flatMap { operation(group, $0) }
      })
  }

  /// Overwrites a contiguous tensor with that of rank `root`.
  public func broadcast(_ tensor: Tensor, from root: Int) throws {
    guard (0..<size).contains(root) else {
      throw DistributedError.wrongUse("broadcast: the rank \(root): expected one from 0 to \(size - 1)")
    }
    guard let pointer = tensor.pointer, tensor.count == 0 || wb_tensor_data(pointer) != nil else {
      throw DistributedError.wrongUse(
        "broadcast: \(tensor.dtype)\(tensor.shape): expected contiguous elements in the processor's memory")
    }
    guard size > 1, tensor.count > 0 else { return }
    try perform("broadcast of \(tensor.dtype)\(tensor.shape) from rank \(root)") {
      wb_process_group_broadcast($0, pointer, Int32(clamping: root)) ? () : nil
    }
  }

  /// Returns when all ranks have called it.
  public func barrier() throws {
    guard size > 1 else { return }
    try perform("barrier") { wb_process_group_barrier($0) ? () : nil }
  }

  /// Collects numbers of every rank, any number of them, in the order of ranks.
  public func allGather(_ values: [Double]) throws -> [[Double]] { try gather(values) }

  /// Collects a text of every rank, of any length, in the order of ranks.
  public func allGather(_ text: String) throws -> [String] {
    try gather(Array(text.utf8)).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Collects elements of every rank: first their numbers, then as many of all as the longest has.
  private func gather<E: Element & ExpressibleByIntegerLiteral>(_ elements: [E]) throws -> [[E]] {
    let counts = try allGather(try withTorch { Tensor([Int64(elements.count)]) }).elements(Int64.self).map(Int.init)
    let longest = counts.max() ?? 0
    let padded = elements + Array(repeating: 0, count: longest - elements.count)
    let all = try allGather(try withTorch { Tensor(padded) }).elements(E.self)
    return counts.enumerated().map { rank, count in Array(all[rank * longest..<rank * longest + count]) }
  }

  /// A vector whose elements are contiguous in the processor's memory.
  private func vector(_ input: Tensor, for operation: String) throws -> Tensor {
    guard input.device == .cpu, input.rank == 1 else {
      throw DistributedError.wrongUse(
        "\(operation): \(input.dtype)\(input.shape) on \(input.device): expected a vector in the processor's memory")
    }
    return try withTorch { withoutGradients { input.contiguous() } }
  }
}

/// A collective operation that has been started.
public final class PendingExchange {
  private let group: ProcessGroup
  private let exchange: OpaquePointer?
  private var result: Tensor?

  init(of group: ProcessGroup, exchange: OpaquePointer? = nil, result: Tensor? = nil) {
    self.group = group
    self.exchange = exchange
    self.result = result
  }

  deinit { wb_exchange_release(exchange) }

  /// Waits for the result.
  ///
  /// - Throws: `DistributedError.ranksLost`.
  public func wait() throws -> Tensor {
    if let result { return result }
    guard let exchange, let pointer = wb_exchange_wait(exchange) else { throw group.lost(after: lastError()) }
    let received = Tensor(owning: pointer)
    result = received
    return received
  }
}
