import WidebandDistributed
import WidebandTorch

/// Adds up the gradients of all processes. Each has the sum of its shard, and updates the weights there; then all get the
/// weights of all shards.
///
/// Gradients are added in the order of the processes, in float32. With Gloo an all-to-all and a sum of our own moves as
/// many bytes as a ring's reduce-scatter, in an order that does not depend on the ring. A bucket is sent as soon as the
/// backward pass has computed the gradients of all its weights.
final class GradientExchange {
  /// The group of the processes; nil for one alone.
  let group: ProcessGroup?
  /// The parts of the array of all weights.
  let layout: ShardLayout
  /// The part that this process updates.
  let shard: Shard
  /// The sum so far, of this process's shard.
  let sum: Tensor

  private let weights: [ExchangedWeight]
  /// The gradients of all weights as an array. Floats between the weights are zeros.
  private let flat: Tensor
  private var isEmpty = true
  /// The backward pass that runs.
  private(set) var pass: BackwardPass?

  /// - Parameters:
  ///   - weights: the weights by name, of which `places` has the ranges in the array.
  ///   - bucketSize: the number of floats of a bucket.
  /// - Throws: `TorchError` if the array cannot be allocated.
  init(
    _ weights: [(name: String, tensor: Tensor)], _ places: FlatLayout, _ group: ProcessGroup?,
    bucketSize: Int = ShardLayout.bucketSize
  ) throws {
    self.group = group
    let layout = ShardLayout(count: places.count, processes: group?.size ?? 1, bucketSize: bucketSize)
    self.layout = layout
    let shard = layout.shard(of: group?.rank ?? 0)
    self.shard = shard
    (flat, sum) = try withTorch { (.zeros([layout.paddedCount]), .zeros([shard.count])) }
    self.weights = weights.compactMap { name, tensor in
      places.places[name].map { ExchangedWeight(name: name, tensor: tensor, place: $0) }
    }
    for (index, weight) in self.weights.enumerated() {
      try weight.tensor.afterGradient { [weak self] in self?.gradientIsThere(index) }
    }
  }

  deinit { for weight in weights { weight.tensor.removeGradientHook() } }

  /// Runs a backward pass, adds the gradients of all processes to the sum, and clears those of this one.
  ///
  /// - Parameter pass: runs the backward pass.
  /// - Throws: `DistributedError` if another process is lost; what `pass` throws.
  func add<Result>(during pass: () throws -> Result) throws -> Result {
    self.pass = BackwardPass(layout, weights)
    defer { self.pass = nil }
    let result = try pass()
    for index in weights.indices where self.pass?.isThere[index] == false { gradientIsThere(index) }
    if let failure = self.pass?.failure { throw failure }
    var start = 0
    for (bucket, exchange) in zip(layout.buckets, self.pass?.exchanges ?? []) {
      let size = bucket.count / layout.processes
      try add(exchange?.wait() ?? flat.slice(0, bucket), to: sum.slice(0, start..<(start + size)))
      start += size
    }
    isEmpty = false
    return result
  }

  /// Adds the parts of a bucket that all processes sent.
  private func add(_ parts: Tensor, to sum: Tensor) throws {
    try withTorch {
      withoutGradients {
        for rank in 0..<layout.processes {
          let part = parts.slice(0, (rank * sum.count)..<((rank + 1) * sum.count))
          sum.copy(from: isEmpty && rank == 0 ? part : sum + part)
        }
      }
    }
  }

  /// Copies the gradient of a weight to the array, and sends the buckets that are complete.
  private func gradientIsThere(_ index: Int) {
    guard var current = pass, current.failure == nil else { return }
    // The state is changed in place: a copy of its arrays for each weight would take long.
    pass = nil
    defer { pass = current }
    let weight = weights[index]
    do {
      guard !current.isThere[index] else {
        throw DistributedError.wrongUse("the gradient of \(weight.name) has changed after it was sent")
      }
      try withTorch {
        withoutGradients {
          let part = flat.slice(0, weight.place)
          if let gradient = weight.tensor.gradient { part.copy(from: gradient.flattened()) } else { part.fill(0) }
          weight.tensor.clearGradient()
        }
      }
      current.count(index)
      while let bucket = current.nextComplete() {
        let part = flat.slice(0, layout.buckets[bucket])
        current.exchanges[bucket] = try group?.startAllToAll(part)
      }
    } catch { current.failure = error }
  }

  /// The norm of all gradients together.
  ///
  /// - Throws: `DistributedError` if another process is lost.
  func norm() throws -> Double {
    let own = try withTorch { try sum.squareSums(of: ShardLayout.piece) }
    let all = try layout.inOrder(group?.allGather(own) ?? [own])
    return all.reduce(0, +).squareRoot()
  }

  /// Begins the sum of the next step.
  func begin() { isEmpty = true }

  /// Copies the updated weights of every process to all.
  ///
  /// - Throws: `DistributedError` if another process is lost.
  func gather() throws {
    guard let group else { return }
    try withTorch {
      try withoutGradients {
        for weight in weights {
          for piece in shard.pieces(in: weight.place) {
            let part = weight.tensor.flattened().slice(0, piece.ofArray.moved(by: -weight.place.lowerBound))
            flat.slice(0, piece.ofArray).copy(from: part)
          }
        }
        let gathered = try layout.buckets.map { bucket in
          try group.startAllGather(flat.slice(0, layout.part(of: bucket, rank: group.rank)))
        }
        for (bucket, exchange) in zip(layout.buckets, gathered) {
          let all = try exchange.wait()
          for weight in weights {
            let part = weight.place.clamped(to: bucket)
            guard !part.isEmpty else { continue }
            weight.tensor.flattened().slice(0, part.moved(by: -weight.place.lowerBound))
              .copy(from: all.slice(0, part.moved(by: -bucket.lowerBound)))
          }
        }
      }
    }
  }
}
