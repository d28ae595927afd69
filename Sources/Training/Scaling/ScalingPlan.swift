/// The predicted memory of a rank and the time of a training step on several machines.
///
/// The W ranks compute the batches of a step, exchange gradients so that each rank has the sums of its shard, update the
/// shard, and gather the weights of all shards. A rank's memory is that of its own batch and 1/W of the optimizer's state.
///
/// Not counted: the exchange among GPUs of one machine, latency, evaluation, checkpoints, the update itself, ranks that
/// wait for a slower one, and networks whose machines cannot all send at their line rate.
public struct ScalingPlan: Sendable {
  /// The work of a training step, whatever the number of ranks.
  public struct Work: Hashable, Sendable {
    /// P: the number of trained weights.
    public var parameters: Double
    /// Floating-point operations of a token's forward pass.
    public var forwardOperations: Double
    /// Floating-point operations of a token's forward and backward pass, with what activation checkpointing repeats.
    public var stepOperations: Double
    /// Elements that a token's forward pass keeps for the backward pass, and those of one layer's backward pass.
    public var activationElements: Double
    /// The number of tokens of a batch.
    public var tokensPerBatch: Double
    /// The number of batches of a step on all ranks together.
    public var batches: Int
    /// Whether gradients are exchanged after each batch and not once a step.
    public var exchangesEveryBatch: Bool

    /// The work of a training step.
    public init(
      parameters: Double, forwardOperations: Double, stepOperations: Double, activationElements: Double,
      tokensPerBatch: Double, batches: Int, exchangesEveryBatch: Bool = false
    ) {
      self.parameters = parameters
      self.forwardOperations = forwardOperations
      self.stepOperations = stepOperations
      self.activationElements = activationElements
      self.tokensPerBatch = tokensPerBatch
      self.batches = batches
      self.exchangesEveryBatch = exchangesEveryBatch
    }
  }

  /// The work of a step.
  public let work: Work
  /// The machines.
  public let cluster: Cluster

  /// A plan for `work` on `cluster`.
  ///
  /// Returns nil if the batches of a step cannot be divided equally among the ranks.
  public init?(_ work: Work, on cluster: Cluster) {
    guard work.batches.isMultiple(of: cluster.ranks) else { return nil }
    self.work = work
    self.cluster = cluster
  }

  /// m: the number of batches of a rank in a step.
  public var batchesPerRank: Int { work.batches / cluster.ranks }

  /// Seconds that a rank computes in a step.
  public var computeSeconds: Double { secondsPerBatch * Double(batchesPerRank) }

  private var secondsPerBatch: Double {
    work.stepOperations * work.tokensPerBatch / (cluster.utilization * cluster.peakOperations)
  }

  /// Seconds of the exchanges of gradients in a step.
  public var gradientSeconds: Double {
    (gradientLineSeconds + processingSeconds) * Double(work.exchangesEveryBatch ? batchesPerRank : 1)
  }

  /// Seconds of the all-gather of weights.
  public var weightSeconds: Double { lineSeconds(ofTraffic: ringTraffic) + processingSeconds }

  private var gradientLineSeconds: Double {
    let (k, G) = (Double(cluster.nodes), Double(cluster.ranksPerNode))
    switch cluster.kind {
    // Each rank sends every other one its shard: those of the other machines leave the machine, for each of its G ranks.
    case .cpu: return lineSeconds(ofTraffic: G * (k - 1) / k)
    case .cuda: return lineSeconds(ofTraffic: ringTraffic)
    }
  }

  /// What a machine sends in a ring of all ranks, as a fraction of an array: each rank sends all shards but one to the
  /// next one, and one rank's next one is on another machine.
  private var ringTraffic: Double { cluster.nodes == 1 ? 0 : otherShards }

  /// The shards of the other ranks as a fraction of an array, which a rank sends and receives.
  private var otherShards: Double { Double(cluster.ranks - 1) / Double(cluster.ranks) }

  /// The bytes of the array of all weights or gradients.
  private var arrayBytes: Double { work.parameters * cluster.kind.elementBytes }

  /// - Parameter traffic: the bytes that a machine sends, as a fraction of the array of all weights or gradients.
  private func lineSeconds(ofTraffic traffic: Double) -> Double {
    traffic * arrayBytes / (cluster.lineEfficiency * cluster.lineRate)
  }

  /// Seconds of a rank's own work in an exchange of gradients or weights.
  private var processingSeconds: Double { otherShards * arrayBytes / cluster.kind.exchangeRate }

  /// Seconds of the exchange in which ranks do not compute: gradients are on the network during the backward pass of the
  /// last batch, or of every batch; weights are gathered after it.
  public var exposedSeconds: Double {
    let forward = secondsPerBatch * work.forwardOperations / work.stepOperations
    let exchange = max(0, gradientLineSeconds - (secondsPerBatch - forward)) + processingSeconds
    return exchange * Double(work.exchangesEveryBatch ? batchesPerRank : 1) + weightSeconds
  }

  /// Seconds of a step.
  public var stepSeconds: Double { computeSeconds + exposedSeconds }

  /// The fraction of a step in which ranks compute.
  public var efficiency: Double { computeSeconds / stepSeconds }

  /// Tokens a second of all ranks together.
  public var tokensPerSecond: Double { work.tokensPerBatch * Double(work.batches) / stepSeconds }
}
