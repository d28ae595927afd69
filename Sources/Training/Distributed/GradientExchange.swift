import WidebandDistributed
import WidebandTorch

/// Adds up the gradients of all processes. Each has the sum of one part of the array of all weights, its shard, and
/// updates the weights there; then all get the weights of all parts.
///
/// Gradients are added in the order of the processes, in float32. With Gloo an all-to-all and a sum of our own moves as
/// many bytes as a ring's reduce-scatter, in an order that does not depend on the ring.
final class GradientExchange {
  /// Shards are whole pieces of this many floats, whose squares are added up for the gradient norm: so the norm does not
  /// depend on the number of processes.
  static let piece = 16_384

  /// The group of the processes; nil for one alone.
  let group: ProcessGroup?
  private let layout: FlatLayout
  /// The number of floats of a shard.
  private let size: Int
  /// The gradients of all weights as an array, padded with zeros.
  private let flat: Tensor
  /// The sum so far, of this process's shard.
  let sum: Tensor
  private var isEmpty = true

  /// - Throws: `TorchError` if the array cannot be allocated.
  init(_ layout: FlatLayout, _ group: ProcessGroup?) throws {
    (self.layout, self.group) = (layout, group)
    let size = Self.shardSize(layout, of: group?.size ?? 1)
    self.size = size
    (flat, sum) = try withTorch { (.zeros([(group?.size ?? 1) * size]), .zeros([size])) }
  }

  /// The number of floats of a shard of so many processes.
  private static func shardSize(_ layout: FlatLayout, of count: Int) -> Int {
    let pieces = (layout.count + piece - 1) / piece
    return (pieces + count - 1) / count * piece
  }

  /// The part of the array that a process updates. The last ones may have none.
  static func shard(_ layout: FlatLayout, _ group: ProcessGroup?) -> Range<Int> {
    let (rank, size) = (group?.rank ?? 0, shardSize(layout, of: group?.size ?? 1))
    return (rank * size)..<((rank + 1) * size)
  }

  /// Adds the gradients of all processes to the sum, and clears those of this one.
  ///
  /// - Throws: `DistributedError` if another process is lost.
  func add(_ weights: [(name: String, tensor: Tensor)]) throws {
    try withTorch {
      try withoutGradients {
        for (name, weight) in weights {
          guard let place = layout.places[name] else { continue }
          let part = flat.slice(0, place)
          if let gradient = weight.gradient { part.copy(from: gradient.flattened()) } else { part.fill(0) }
          weight.clearGradient()
        }
        let all = try group?.allToAll(flat) ?? flat
        for rank in 0..<(group?.size ?? 1) {
          let part = all.slice(0, (rank * size)..<((rank + 1) * size))
          sum.copy(from: isEmpty ? part : sum + part)
          isEmpty = false
        }
      }
    }
  }

  /// The norm of all gradients together.
  ///
  /// - Throws: `DistributedError` if another process is lost.
  func norm() throws -> Double {
    let own = try withTorch { try sum.squareSums(of: Self.piece) }
    let all = try group?.allGather(own).flatMap(\.self) ?? own
    return all.reduce(0, +).squareRoot()
  }

  /// Begins the sum of the next step.
  func begin() { isEmpty = true }

  /// Copies the updated weights of every process to all.
  ///
  /// - Throws: `DistributedError` if another process is lost.
  func gather(_ weights: [(name: String, tensor: Tensor)]) throws {
    guard let group else { return }
    try withTorch {
      try withoutGradients {
        let own = (group.rank * size)..<((group.rank + 1) * size)
        let part = flat.slice(0, own)
        for (name, weight) in weights {
          guard let piece = layout.piece(of: name, in: own) else { continue }
          part.slice(0, piece.ofRange).copy(from: weight.flattened().slice(0, piece.ofWeight))
        }
        let all = try group.allGather(part)
        for (name, weight) in weights {
          guard let place = layout.places[name] else { continue }
          weight.flattened().copy(from: all.slice(0, place))
        }
      }
    }
  }
}
