import WidebandDistributed

/// Batches that are shared out to ranks in turn: batch i·W + r is number i of rank r of W.
extension ProcessGroup {
  /// The batches that this rank computes, of so many.
  func share(ofBatches count: Int) -> StrideTo<Int> { stride(from: rank, to: count, by: size) }

  /// Collects numbers of each batch, any number of them, in the order of the batches.
  ///
  /// - Parameter own: the numbers of each batch of this rank's share.
  /// - Throws: `DistributedError` if a rank is lost.
  func gatherByBatch(_ own: [[Double]]) throws -> [[Double]] {
    let all = try allGather(own.flatMap { [Double($0.count)] + $0 }).map { values in
      var batches: [[Double]] = []
      var rest = values[...]
      while let count = rest.popFirst() {
        batches.append(Array(rest.prefix(Int(count))))
        rest = rest.dropFirst(Int(count))
      }
      return batches
    }
    // The first ranks have one batch more where the ranks do not divide their number.
    return (0..<(all.first?.count ?? 0)).flatMap { index in all.compactMap { index < $0.count ? $0[index] : nil } }
  }
}
