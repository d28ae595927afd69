/// How processes share the array of all weights: it is cut into buckets, and each process has an equal part of each.
///
/// A bucket is exchanged as a whole, once all its gradients are there; every process sends and receives as much as the
/// others, whichever bucket it is.
struct ShardLayout: Equatable, Sendable {
  /// Parts are whole pieces of this many floats, whose squares are added up for the gradient norm: so the norm does not
  /// depend on the number of processes.
  static let piece = 16_384
  /// The number of floats of a bucket, 8 MiB: small enough that most buckets are sent while the backward pass still runs,
  /// large enough that the time to send one is far more than a network's latency.
  static let bucketSize = 128 * piece

  /// The buckets, ranges of the array in ascending order. The last one may end after the array, in padding.
  let buckets: [Range<Int>]
  /// The number of processes.
  let processes: Int

  /// - Parameters:
  ///   - count: the number of floats of the array.
  ///   - bucketSize: the number of floats of a bucket, which is rounded up to equal parts.
  init(count: Int, processes: Int, bucketSize: Int = Self.bucketSize) {
    let unit = Self.piece * processes
    func roundedUp(_ size: Int) -> Int { (size + unit - 1) / unit * unit }
    let size = roundedUp(bucketSize)
    buckets = stride(from: 0, to: count, by: size).map { $0..<($0 + roundedUp(min(size, count - $0))) }
    self.processes = processes
  }

  /// The number of floats of all buckets.
  var paddedCount: Int { buckets.last?.upperBound ?? 0 }

  /// The part of a bucket that a process has.
  func part(of bucket: Range<Int>, rank: Int) -> Range<Int> {
    let size = bucket.count / processes
    return (bucket.lowerBound + rank * size)..<(bucket.lowerBound + (rank + 1) * size)
  }

  /// The parts of all buckets that a process has.
  func shard(of rank: Int) -> Shard { Shard(ranges: buckets.map { part(of: $0, rank: rank) }) }

  /// Pieces' values of all processes in the order of the array.
  ///
  /// - Parameter values: a value for each piece of a shard, by rank.
  func inOrder(_ values: [[Double]]) -> [Double] {
    var starts = [Int](repeating: 0, count: processes)
    return buckets.flatMap { bucket in
      (0..<processes).flatMap { rank in
        let count = bucket.count / processes / Self.piece
        defer { starts[rank] += count }
        return values[rank][starts[rank]..<(starts[rank] + count)]
      }
    }
  }
}

/// Ranges of the array of all weights, one after the other in an array of their own.
struct Shard: Equatable, Sendable {
  /// The ranges, in ascending order, which do not overlap.
  let ranges: [Range<Int>]

  /// The number of floats.
  var count: Int { ranges.reduce(0) { $0 + $1.count } }

  /// A part of the array of all weights, and where it is in the shard.
  struct Piece: Equatable {
    let ofArray: Range<Int>
    let ofShard: Range<Int>
  }

  /// The pieces of the shard within a range of the array. Together they are one range of the shard.
  func pieces(in range: Range<Int>) -> [Piece] {
    var start = 0
    return ranges.compactMap { each in
      defer { start += each.count }
      let part = each.clamped(to: range)
      guard !part.isEmpty else { return nil }
      return Piece(ofArray: part, ofShard: part.moved(by: start - each.lowerBound))
    }
  }
}

extension Range<Int> {
  func moved(by offset: Int) -> Range<Int> { (lowerBound + offset)..<(upperBound + offset) }
}
