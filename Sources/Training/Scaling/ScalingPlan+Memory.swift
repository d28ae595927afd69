extension ScalingPlan {
  /// A part of a rank's memory.
  public struct MemoryPart: Hashable, Sendable {
    /// The name of the part, such as "moments".
    public let name: String
    /// The bytes of the part.
    public let bytes: Double
  }

  /// The parts of a rank's memory. Memory of the program, of libraries and of the allocator is not counted.
  public var memory: [MemoryPart] {
    let P = work.parameters
    let element = cluster.kind.elementBytes
    var parts = [
      MemoryPart(name: "weights", bytes: P * element), MemoryPart(name: "gradients", bytes: P * element),
      MemoryPart(name: "moments, a shard", bytes: 8 * shardElements),
    ]
    if cluster.kind == .cuda { parts.append(MemoryPart(name: "masters, a shard", bytes: 4 * shardElements)) }
    if cluster.ranks > 1 {
      parts += [
        MemoryPart(name: "sums, a shard", bytes: 4 * shardElements),
        // The array of all gradients that is sent, and what is received.
        MemoryPart(name: "exchange", bytes: 2 * P * element),
      ]
    }
    parts.append(
      MemoryPart(name: "activations", bytes: work.activationElements * work.tokensPerBatch * element))
    return parts
  }

  /// The weights of a rank's shard, which is made of whole pieces.
  private var shardElements: Double {
    guard cluster.ranks > 1, let count = Int(exactly: work.parameters.rounded()) else { return work.parameters }
    let layout = ShardLayout(count: count, processes: cluster.ranks)
    return Double(layout.paddedCount / layout.processes)
  }

  /// The bytes of a rank's memory.
  public var memoryBytes: Double { memory.reduce(0) { $0 + $1.bytes } }
}
