/// The results of a study so far, as `results.json` has them.
public struct StudyResults: Codable, Hashable, Sendable {
  /// The question of the plan.
  public let question: String
  /// The cost in the plan.
  public let cost: String?
  /// The arm that the others are compared with.
  public let baseline: String
  /// The number of runs of the plan.
  public let runCount: Int
  /// The arms, in the order of the plan.
  public var arms: [Arm]
  /// Differences of final held-out losses, paired by seed.
  public var differences: [Difference]
  /// Comparisons with the baseline at equal budgets.
  public var budgets: [EqualBudgets]
  /// The fitted line over r; nil without `fit`, or before arms of two different r have results.
  public var fit: LineFit?

  /// The results of one arm. Unless they are of single runs, they are those of its best learning rate.
  public struct Arm: Codable, Hashable, Sendable {
    /// The name.
    public let name: String
    /// The arm that its runs start from.
    public let from: String?
    /// All of its runs.
    public let runs: [Run]
    /// The learning rate with the lowest mean held-out loss over seeds; nil before a run is finished, and if each
    /// rate has a run that diverged.
    public let learningRate: Double?
    /// Whether the best learning rate is the lowest or highest of several.
    public let edge: Edge?
    /// r: the width of the state as a multiple of the backbone's.
    public let widthFactor: Double
    /// The number of weights.
    public let parameters: Int
    /// Floating-point operations of training for a token.
    public let operationsPerToken: Double
    /// The median seconds of a step, the mean over seeds.
    public let secondsPerStep: Double?
    /// The median tokens per second, the mean over seeds.
    public let tokensPerSecond: Double?
    /// The largest peak memory in bytes.
    public let peakBytes: Int?
    /// The next-token loss on held-out text in nats.
    public let loss: Summary?
    /// The loss of the token after the next one, of models with multi-token prediction.
    public let nextTwoTokenLoss: Summary?
    /// Bits per byte of held-out text.
    public let bitsPerByte: Summary?
    /// Statistics of connections by their names in `metrics.jsonl`, at the last evaluation.
    public let connections: [String: Summary]
    /// The quality of direct decoding.
    public let cycles: [Cycle]
  }

  /// Which end of the learning rates the best one is.
  public enum Edge: String, Codable, Sendable {
    /// The lowest.
    case lowest
    /// The highest.
    case highest
  }

  /// One run.
  public struct Run: Codable, Hashable, Sendable {
    /// The learning rate.
    public let learningRate: Double
    /// The seed.
    public let seed: UInt64
    /// How it ended; nil for one that is not finished.
    public let outcome: StudyOutcome?
    /// The next-token loss on held-out text in nats.
    public let loss: Double?
    /// Bits per byte of held-out text.
    public let bitsPerByte: Double?
  }

  /// The quality of direct decoding at one cycle length.
  public struct Cycle: Codable, Hashable, Sendable {
    /// The number of tokens of a cycle.
    public let cycle: Int
    /// Bits per byte of held-out text, the mean over phases.
    public let bitsPerByte: Summary
    /// The untuned model's bits per byte over this one's.
    public let retention: Summary?
    /// The fraction of tokens that have the highest probability.
    public let accuracy: Summary
    /// The accuracy over the untuned model's.
    public let accuracyRetention: Summary?
    /// The mean bits per byte at each phase.
    public let phases: [Double]
  }

  /// The difference of two arms.
  public struct Difference: Codable, Hashable, Sendable {
    /// The arm.
    public let arm: String
    /// The arm that it is compared with.
    public let reference: String
    /// The arm's final held-out loss minus the reference's.
    public let loss: PairedDifference
  }

  /// An arm compared with the baseline at equal budgets: at the end of the run that spends less, and on the held-out
  /// curve of the other.
  public struct EqualBudgets: Codable, Hashable, Sendable {
    /// The arm.
    public let arm: String
    /// Its number of weights over the baseline's.
    public let parameterRatio: Double
    /// The arm's held-out loss minus the baseline's at the same number of tokens.
    public let tokens: PairedDifference?
    /// The same at the same number of floating-point operations.
    public let operations: PairedDifference?
    /// The same after the same time.
    public let time: PairedDifference?
    /// The tokens after which the arm has the baseline's final loss, over the seeds that reach it.
    public let tokensToBaseline: Summary?
    /// How many seeds reach it.
    public let reached: Int
    /// How many seeds were compared.
    public let compared: Int
  }
}
