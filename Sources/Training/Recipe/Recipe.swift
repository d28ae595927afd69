import WidebandCheckedInput
import WidebandLanguageModel
import WidebandVirtualWidth

/// All settings of a training run: a YAML file with the changes of `--set`.
///
/// The resolved recipe is saved with the run. The recipe and the prepared data determine every loss.
public struct Recipe: Codable, Hashable, Sendable {
  /// The folder of prepared data; nil in presets, where the command line names it.
  public var data: String?
  /// The model folder whose weights the run starts from; nil for new weights.
  public var from: String?
  /// The model, with the keys of `config.json`.
  public var model: ModelConfiguration
  /// The initial values of new weights.
  public var initialValues: InitialValues
  /// Tuning for Direct Multi-Token Decoding; nil for ordinary training.
  public var directDecoding: DirectDecoding?
  /// LoRA tuning; nil to train the weights themselves.
  public var lora: LowRankAdaptation?
  /// Steps, batches and the seed.
  public var training: Training
  /// The hyperparameters of AdamW.
  public var optimizer: Optimizer
  /// The learning rate schedule.
  public var schedule: Schedule
  /// Evaluation on held-out data.
  public var validation: Validation
  /// Checkpoints.
  public var checkpoint: Checkpoints
  /// Text samples during training.
  public var sample: Sample
  /// How processes train together; nil for the defaults.
  public var distributed: Distribution?

  /// Steps, batches and the seed.
  public struct Training: Codable, Hashable, Sendable {
    /// The number of optimizer steps.
    public var steps: Int
    /// T: the number of tokens of a row.
    public var sequenceLength: Int
    /// The number of tokens of an optimizer step.
    public var tokensPerStep: Int
    /// The number of rows of a batch; the gradients of a step's batches are accumulated.
    public var rowsPerBatch: Int
    /// Whether layers use activation checkpointing, which takes a quarter more arithmetic and a fraction of the memory;
    /// false by default.
    public var activationCheckpointing: Bool?
    /// The weights that are trained; nil for all.
    public var trainedWeights: TrainedWeights?
    /// The seed of the initial weights and of the order of the data.
    public var seed: UInt64

    /// The keys in a recipe.
    public enum CodingKeys: String, CodingKey, CaseIterable {
      case steps
      case sequenceLength = "sequence_length"
      case tokensPerStep = "tokens_per_step"
      case rowsPerBatch = "rows_per_batch"
      case activationCheckpointing = "activation_checkpointing"
      case trainedWeights = "trained_weights"
      case seed
    }

    /// The number of rows of an optimizer step.
    public var rowsPerStep: Int { tokensPerStep / sequenceLength }
    /// The number of batches of an optimizer step.
    public var accumulation: Int { rowsPerStep / rowsPerBatch }
  }

  /// Evaluation on held-out data.
  public struct Validation: Codable, Hashable, Sendable {
    /// The number of steps between evaluations.
    public var interval: Int
    /// The maximum number of tokens of an evaluation, which are the same each time.
    public var tokens: Int

    /// The keys in a recipe.
    public enum CodingKeys: String, CodingKey, CaseIterable {
      case interval, tokens
    }
  }

  /// Checkpoints.
  public struct Checkpoints: Codable, Hashable, Sendable {
    /// The number of steps between checkpoints.
    public var interval: Int
    /// The number of latest checkpoints that are not deleted; the best one is not deleted either.
    public var keep: Int

    /// The keys in a recipe.
    public enum CodingKeys: String, CodingKey, CaseIterable {
      case interval, keep
    }
  }

  /// Text samples during training.
  public struct Sample: Codable, Hashable, Sendable {
    /// The number of steps between samples; 0 for no samples.
    public var interval: Int
    /// The prompt.
    public var prompt: String
    /// The number of tokens to generate.
    public var tokens: Int

    /// The keys in a recipe.
    public enum CodingKeys: String, CodingKey, CaseIterable {
      case interval, prompt, tokens
    }
  }

  /// How processes train together.
  public struct Distribution: Codable, Hashable, Sendable {
    /// When processes exchange gradients.
    public enum Exchange: String, Codable, Sendable, CaseIterable {
      /// Once a step, after each process has added up those of its own batches.
      case lastMicroBatch = "last_micro_batch"
      /// After each batch, so that a step adds all gradients in the order of the batches: the results are those of one
      /// process, bit for bit.
      case everyMicroBatch = "every_micro_batch"
    }

    /// When processes exchange gradients.
    public var exchange: Exchange

    /// The keys in a recipe.
    public enum CodingKeys: String, CodingKey, CaseIterable {
      case exchange
    }
  }

  /// The keys in a recipe.
  public enum CodingKeys: String, CodingKey, CaseIterable {
    case data, from, model
    case initialValues = "initial_values"
    case directDecoding = "direct_decoding"
    case lora, training, optimizer, schedule, validation, checkpoint, sample, distributed
  }
}
