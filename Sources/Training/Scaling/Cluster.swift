/// Equal machines that train together, as ``ScalingPlan`` counts them.
public struct Cluster: Hashable, Sendable {
  /// What the ranks compute on, which also decides how they exchange gradients and weights.
  public enum Kind: String, Sendable, CaseIterable {
    /// Processors: float32, and Gloo's all-to-all and all-gather.
    case cpu
    /// GPUs: bfloat16 with float32 masters in shards, and NCCL's reduce-scatter and all-gather.
    case cuda

    /// The bytes of an element of weights, gradients and activations.
    public var elementBytes: Double { self == .cpu ? 4 : 2 }

    /// The fraction of the line rate that an exchange reaches: Gloo's as docs/results/distributed.md measured it with two
    /// machines, NCCL's as its users report it.
    public var lineEfficiency: Double { self == .cpu ? 0.6 : 0.8 }

    /// The bytes a second that a rank copies, adds, sends and receives on a network without limit: on processors, as
    /// measured there; what GPUs need for it is not counted.
    public var exchangeRate: Double { self == .cpu ? 325e6 : .infinity }
  }

  /// What the ranks compute on.
  public var kind: Kind
  /// The number of machines.
  public var nodes: Int
  /// The number of ranks of a machine: its GPUs, or processes on its processors.
  public var ranksPerNode: Int
  /// Bytes a second of a machine's network in each direction, as its vendor states them.
  public var lineRate: Double
  /// The fraction of the line rate that an exchange reaches.
  public var lineEfficiency: Double
  /// Peak floating-point operations a second of a rank.
  public var peakOperations: Double
  /// The fraction of the peak that a training step reaches without other ranks.
  public var utilization: Double

  /// Equal machines.
  public init(
    _ kind: Kind, nodes: Int, ranksPerNode: Int, lineRate: Double, lineEfficiency: Double? = nil,
    peakOperations: Double, utilization: Double
  ) {
    self.kind = kind
    self.nodes = nodes
    self.ranksPerNode = ranksPerNode
    self.lineRate = lineRate
    self.lineEfficiency = lineEfficiency ?? kind.lineEfficiency
    self.peakOperations = peakOperations
    self.utilization = utilization
  }

  /// W: the number of ranks.
  public var ranks: Int { nodes * ranksPerNode }
}
