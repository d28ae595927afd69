import CheckedInput
import LanguageModel
import VirtualWidth

/// Everything that decides what a training run computes: one YAML file, plus `--set` on the command line.
///
/// The resolved recipe is saved with the run; together with the prepared data it determines every loss.
public struct Recipe: Codable, Hashable, Sendable {
  /// The folder of prepared data; a preset leaves it to the command line.
  public var data: String?
  /// The model folder whose weights the run starts from; nil for fresh ones.
  public var from: String?
  /// The model, with the keys of `config.json`.
  public var model: ModelConfiguration
  /// What fresh weights start from.
  public var initialValues: InitialValues
  /// Tuning for Direct Multi-Token Decoding; nil for ordinary training.
  public var directDecoding: DirectDecoding?
  /// Tuning by adapters of low rank; nil to train the weights themselves.
  public var lora: LowRankAdaptation?
  /// Batches and how many of them.
  public var training: Plan
  /// AdamW.
  public var optimizer: Optimizer
  /// The learning rate over time.
  public var schedule: ScheduleSettings
  /// Measurements on held-out text.
  public var validation: Validation
  /// What is kept on disk.
  public var checkpoint: Checkpoints
  /// Text written now and then.
  public var sample: Sample

  /// Batches and how many of them.
  public struct Plan: Codable, Hashable, Sendable {
    /// Optimizer steps.
    public var steps: Int
    /// T: tokens of a row.
    public var sequenceLength: Int
    /// Tokens that one optimizer step sees.
    public var tokensPerStep: Int
    /// Rows that go through the model at once; the rest is accumulated.
    public var rowsPerBatch: Int
    /// Whether layers keep their input alone and are computed again in the backward pass: a quarter more arithmetic
    /// for a fraction of the memory. Left out, they keep everything.
    public var activationCheckpointing: Bool?
    /// What weights and the order of the data are drawn from.
    public var seed: UInt64

    /// The names in a recipe.
    public enum CodingKeys: String, CodingKey, CaseIterable {
      case steps
      case sequenceLength = "sequence_length"
      case tokensPerStep = "tokens_per_step"
      case rowsPerBatch = "rows_per_batch"
      case activationCheckpointing = "activation_checkpointing"
      case seed
    }

    /// Rows of one optimizer step.
    public var rowsPerStep: Int { tokensPerStep / sequenceLength }
    /// Passes through the model of one optimizer step.
    public var accumulation: Int { rowsPerStep / rowsPerBatch }
  }

  /// AdamW with decoupled weight decay.
  public struct Optimizer: Codable, Hashable, Sendable {
    /// The highest learning rate.
    public var learningRate: Double
    /// The share of the learning rate at which the weights of connections move.
    public var connectionRate: Double
    /// Decay of the mean of gradients.
    public var beta1: Double
    /// Decay of the mean of squared gradients.
    public var beta2: Double
    /// Added to the root of the mean square.
    public var epsilon: Double
    /// Fraction of a decayed weight that is removed in a step, per unit of learning rate.
    public var weightDecay: Double
    /// The largest norm of all gradients together; larger ones are scaled down to it.
    public var clip: Double

    /// An optimizer with the given settings.
    public init(
      learningRate: Double, connectionRate: Double, beta1: Double, beta2: Double, epsilon: Double,
      weightDecay: Double, clip: Double
    ) {
      self.learningRate = learningRate
      self.connectionRate = connectionRate
      self.beta1 = beta1
      self.beta2 = beta2
      self.epsilon = epsilon
      self.weightDecay = weightDecay
      self.clip = clip
    }

    /// Reads the keys of a recipe, of which a clip alone may be infinite.
    public init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: CodingKeys.self)
      func number(_ key: CodingKeys) throws -> Double { try values.decode(Double.self, forKey: key) }
      learningRate = try number(.learningRate)
      connectionRate = try number(.connectionRate)
      beta1 = try number(.beta1)
      beta2 = try number(.beta2)
      epsilon = try number(.epsilon)
      weightDecay = try number(.weightDecay)
      let isUnbounded = try values.decode(JSONValue.self, forKey: .clip) == .number(JSONNumber("Infinity"))
      clip = isUnbounded ? .infinity : try number(.clip)
    }

    /// The names in a recipe.
    public enum CodingKeys: String, CodingKey, CaseIterable {
      case learningRate = "learning_rate"
      case connectionRate = "connection_rate"
      case beta1
      case beta2
      case epsilon
      case weightDecay = "weight_decay"
      case clip
    }
  }

  /// Measurements on held-out text.
  public struct Validation: Codable, Hashable, Sendable {
    /// Steps from one to the next.
    public var interval: Int
    /// The most tokens that one looks at; the same ones each time.
    public var tokens: Int

    /// The names in a recipe.
    public enum CodingKeys: String, CodingKey, CaseIterable {
      case interval
      case tokens
    }
  }

  /// What is kept on disk.
  public struct Checkpoints: Codable, Hashable, Sendable {
    /// Steps from one to the next.
    public var interval: Int
    /// How many of the latest stay; the best on held-out text stays too.
    public var keep: Int

    /// The names in a recipe.
    public enum CodingKeys: String, CodingKey, CaseIterable {
      case interval
      case keep
    }
  }

  /// Text written now and then.
  public struct Sample: Codable, Hashable, Sendable {
    /// Steps from one to the next; 0 for never.
    public var interval: Int
    /// What the text begins with.
    public var prompt: String
    /// Tokens to write.
    public var tokens: Int

    /// The names in a recipe.
    public enum CodingKeys: String, CodingKey, CaseIterable {
      case interval
      case prompt
      case tokens
    }
  }

  /// The names in a recipe.
  public enum CodingKeys: String, CodingKey, CaseIterable {
    case data
    case from
    case model
    case initialValues = "initial_values"
    case directDecoding = "direct_decoding"
    case lora
    case training
    case optimizer
    case schedule
    case validation
    case checkpoint
    case sample
  }
}
