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
    let (P, W) = (work.parameters, Double(cluster.ranks))
    let element = cluster.kind.elementBytes
    var parts = [
      MemoryPart(name: "weights", bytes: P * element), MemoryPart(name: "gradients", bytes: P * element),
      MemoryPart(name: "moments, a shard", bytes: 8 * P / W),
    ]
    if cluster.kind == .cuda { parts.append(MemoryPart(name: "masters, a shard", bytes: 4 * P / W)) }
    if cluster.ranks > 1 {
      parts += [
        MemoryPart(name: "sums, a shard", bytes: 4 * P / W),
        // The array of all gradients that is sent, and what is received.
        MemoryPart(name: "exchange", bytes: 2 * P * element),
      ]
    }
    parts.append(
      MemoryPart(name: "activations", bytes: work.activationElements * work.tokensPerBatch * element))
    return parts
  }

  /// The bytes of a rank's memory.
  public var memoryBytes: Double { memory.reduce(0) { $0 + $1.bytes } }
}
